"""Proxies: shares around the natural ones, and each group repeated as often as in the final run."""

import numpy as np
import pytest

from datapipe.mix.proxies import draw_shares, make_proxies, subsample
from datapipe.mix.selection import Path, Rows
from datapipe.text.bit_mixing import uniform_draw

GROUPS: list[Path] = [("books",), ("code",), ("web",)]


def rows_of(sizes: tuple[int, ...] = (1000, 3000, 20_000)) -> Rows:
    """Documents of about 100 tokens."""
    groups = np.repeat(np.arange(len(sizes)), sizes)
    ids = np.arange(len(groups), dtype=np.uint64)
    lengths = 50 + (uniform_draw(ids, 9) * 100).astype(np.int64)
    return Rows(ids, lengths, np.ones(len(ids)), groups, uniform_draw(ids, 0))


def test_shares_are_drawn_around_the_natural_ones_within_what_there_is() -> None:
    natural = np.array([0.04, 0.16, 0.8])
    drawn = draw_shares(natural, np.array([0.2, 0.8, 1.0]), 300, 1)
    assert drawn.shape == (300, 3)
    assert np.allclose(drawn.sum(axis=1), 1)
    assert (drawn <= [0.2, 0.8, 1.0]).all()
    assert ((drawn == 0) | (drawn >= 2e-4)).all()
    assert len(np.unique(drawn.round(4), axis=0)) > 200
    assert (np.diff(drawn.mean(axis=0)) > 0).all()
    assert np.array_equal(drawn, draw_shares(natural, np.array([0.2, 0.8, 1.0]), 300, 1))
    assert not np.array_equal(drawn, draw_shares(natural, np.array([0.2, 0.8, 1.0]), 300, 2))
    with pytest.raises(ValueError, match="allow only 0 of 2 mixtures at this budget"):
        draw_shares(natural, np.array([0.01, 0.01, 0.01]), 2, 1)


def test_a_subsample_has_its_share_of_every_group() -> None:
    rows = rows_of()
    chosen = subsample(rows, GROUPS, 0.1, 3)
    for group in range(3):
        of = rows.groups == group
        assert rows.amounts[of & chosen].sum() == pytest.approx(rows.amounts[of].sum() * 0.1, abs=100)
    assert subsample(rows_of((1, 1, 1)), GROUPS, 0.01, 3).tolist() == [True] * 3


def test_groups_are_repeated_as_often_as_in_the_final_run() -> None:
    rows = rows_of()
    final, small = 3 * int(rows.amounts.sum()), int(rows.amounts.sum() * 0.15)
    proxies = make_proxies(rows, GROUPS, 20, small, final, 5, 0)
    pool = set(rows.ids[subsample(rows, GROUPS, small / final, 0)].tolist())
    assert len(proxies) == 20
    for proxy in proxies:
        assert set(proxy.ids.tolist()) <= pool
        lengths = rows.amounts[proxy.ids.astype(np.int64)] * proxy.copies
        assert lengths.sum() == pytest.approx(small, abs=300)
        for index, group in enumerate(GROUPS):
            of = rows.groups[proxy.ids.astype(np.int64)] == index
            assert lengths[of].sum() == proxy.amounts[group] == pytest.approx(proxy.shares[group] * small, abs=100)
            # Without the subsample a scarce group would run a twentieth as often as in the final run.
            assert proxy.epochs[group] == pytest.approx(proxy.final_epochs[group], abs=0.05)
    assert max(proxy.final_epochs["books",] for proxy in proxies) > 2
