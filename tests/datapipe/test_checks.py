"""Errors name what is wrong and the nearest right name."""

import pytest

from datapipe.checks import check_known


def test_known_names() -> None:
    check_known("unknown rule", "c4", ["c4", "mc4"])
    with pytest.raises(ValueError, match=r"^lines: unknown rule 'mc5'; did you mean 'mc4'\?$"):
        check_known("lines: unknown rule", "mc5", ["ccnet", "mc4"])
    with pytest.raises(ValueError, match=r"^unknown rule 7; known are ccnet, mc4$"):
        check_known("unknown rule", 7, ["ccnet", "mc4"])
