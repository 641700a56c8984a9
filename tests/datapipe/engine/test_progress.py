"""Progress: what workers write is added up and told, and gone afterwards."""

import pathlib
import time

import pytest

from datapipe.engine.progress import FOLDER, Doing, News, Progress, tick


class Watched:
    """A watcher that keeps what it is told."""

    def __init__(self, seconds: float = 0.005) -> None:
        self.seconds = seconds
        self.told: list[Doing | None] = []

    def show(self, doing: Doing | None) -> None:
        """Keep it."""
        self.told.append(doing)

    def hears(self, done: int) -> bool:
        """Whether it is told, within a while, that so much is done."""
        end = time.monotonic() + 20
        while time.monotonic() < end:
            last = self.told[-1]
            if last and last.seconds and last.done == done:
                return True
            time.sleep(0.001)
        return False


def test_it_adds_up_what_workers_say(tmp_path: pathlib.Path) -> None:
    watched = Watched()
    with Progress(str(tmp_path), ("toy",), watched) as progress:
        assert watched.hears(0), "while nothing is known of what there is to do"
        progress.expect(10, "rows")
        tick(str(tmp_path), "one", 2)
        tick(str(tmp_path), "one", 3)
        tick(str(tmp_path), "two", 4)
        (tmp_path / FOLDER / "three.1f.tmp").write_text("8")  # half written
        assert watched.hears(7)
        tick(str(tmp_path), "two", 6)
        assert watched.hears(9)
    assert not (tmp_path / FOLDER).exists()
    begun, *_, last, ended = watched.told
    assert begun == Doing(("toy",), 0, 0, "", 0, "")
    assert last is not None
    assert (last.done, last.total, last.unit, ended) == (9, 10, "rows", None)


def test_nobody_is_told_more_often_than_asked_for(tmp_path: pathlib.Path) -> None:
    watched = Watched(seconds=1000)
    with Progress(str(tmp_path), ("toy",), watched) as progress:
        progress.expect(1, "rows")
    assert len(watched.told) == 2  # begun and ended
    with Progress(str(tmp_path), ("toy",), None) as progress:
        progress.expect(1, "rows")


def test_a_watcher_that_cannot_show_ends_the_pass_unless_something_worse_has(tmp_path: pathlib.Path) -> None:
    class Closed(Watched):
        def show(self, doing: Doing | None) -> None:
            super().show(doing)
            if doing and doing.seconds:
                raise BrokenPipeError

    closed = Closed()
    with pytest.raises(BrokenPipeError), Progress(str(tmp_path), ("toy",), closed):
        assert closed.hears(0)
    with pytest.raises(KeyError), Progress(str(tmp_path), ("toy",), Closed()):
        raise KeyError


@pytest.mark.parametrize(("done", "left"), [(0, None), (1, 90.0), (10, 0.0), (11, None)])
def test_the_time_left_is_told_once_there_is_something_to_go_by(done: int, left: float | None) -> None:
    assert Doing(("toy",), done, 10, "rows", 10.0, "").seconds_left == left


def test_news_is_a_line_that_knows_what_it_is_of() -> None:
    news = News("done", "rules", "3 rows")
    assert (news, news.event, news.stage, news.text) == (f"{'rules':20}  3 rows", "done", "rules", "3 rows")
    assert News("note", "rules", "why") == f"{'':20}  why"
    assert News("resumed", "", "resuming") == "resuming"
