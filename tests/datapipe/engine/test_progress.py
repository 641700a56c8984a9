"""Progress: what workers write is added up and told, and gone afterwards."""

import pathlib

import pytest

from datapipe.engine.progress import FOLDER, Doing, News, Progress, tick


class Watched:
    """A watcher that keeps what it is told."""

    def __init__(self, seconds: float = 0) -> None:
        self.seconds = seconds
        self.told: list[Doing | None] = []

    def show(self, doing: Doing | None) -> None:
        """Keep it."""
        self.told.append(doing)


def test_it_adds_up_what_workers_say(tmp_path: pathlib.Path) -> None:
    watched = Watched()
    with Progress(str(tmp_path), ("toy",), watched) as progress:
        progress.expect(10, "rows")
        tick(str(tmp_path), "one", 2)
        tick(str(tmp_path), "one", 3)
        tick(str(tmp_path), "two", 4)
        (tmp_path / FOLDER / "three.1f.tmp").write_text("8")  # half written
        progress.show()
        tick(str(tmp_path), "two", 6)
        progress.show()
    assert not (tmp_path / FOLDER).exists()
    begun, first, second, ended = watched.told
    assert begun is not None
    assert (begun.stages, begun.total, begun.seconds, ended) == (("toy",), 0, 0, None)
    assert [(doing.done, doing.total, doing.unit) for doing in (first, second) if doing] == [
        (7, 10, "rows"),
        (9, 10, "rows"),
    ]


def test_nobody_is_told_more_often_than_asked_for(tmp_path: pathlib.Path) -> None:
    watched = Watched(seconds=1000)
    with Progress(str(tmp_path), ("toy",), watched) as progress:
        progress.expect(1, "rows")
        progress.show()
    assert len(watched.told) == 2  # begun and ended
    with Progress(str(tmp_path), ("toy",), None) as progress:
        progress.show()


@pytest.mark.parametrize(("done", "left"), [(0, None), (1, 90.0), (10, 0.0), (11, None)])
def test_the_time_left_is_told_once_there_is_something_to_go_by(done: int, left: float | None) -> None:
    assert Doing(("toy",), done, 10, "rows", 10.0, "").seconds_left == left


def test_news_is_a_line_that_knows_what_it_is_of() -> None:
    news = News("done", "rules", "3 rows")
    assert (news, news.event, news.stage, news.text) == (f"{'rules':20}  3 rows", "done", "rules", "3 rows")
    assert News("note", "rules", "why") == f"{'':20}  why"
    assert News("resumed", "", "resuming") == "resuming"
