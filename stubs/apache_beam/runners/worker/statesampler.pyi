from threading import Thread

class StateSampler:
    tracked_thread: Thread | None
    started: bool
    finished: bool

def set_current_tracker(tracker: StateSampler | None) -> None: ...
