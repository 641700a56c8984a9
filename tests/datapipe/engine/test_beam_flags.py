"""Flags of Beam: known, misspelt, unknown."""

import pytest

from datapipe.engine.beam_flags import check_flags


def test_flags_of_beam_pass() -> None:
    check_flags([])
    check_flags(["--runner=DataflowRunner", "--project", "x", "--streaming", "--experiments=a", "--experiments=b"])


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--wrokers", "2"], "'--wrokers'; did you mean --workers?"),
        (["--wrokers=2"], "did you mean --workers?"),
        (["--project=x", "--regoin=y"], "'--regoin=y'; did you mean --region?"),
        (["--proj=x"], "'--proj=x'"),
        (["--frobnicate"], "'--frobnicate'; of flags"),
        (["stray"], "'stray'; of flags"),
        (["--direct_num_workers=many"], "direct_num_workers: invalid int value: 'many'"),
        (["--job_endpoint=x:1", "--temp_locaton=y"], "did you mean --temp_location?"),
    ],
)
def test_others_do_not(flags: list[str], said: str) -> None:
    with pytest.raises(ValueError, match="argument") as error:
        check_flags(flags)
    assert said in str(error.value)


def test_a_job_server_may_have_flags_of_its_own() -> None:
    check_flags(["--job_endpoint", "x:1", "--frobnicate=2"])
