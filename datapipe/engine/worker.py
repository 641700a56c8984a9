"""A local worker process: Beam's own, but one that ends with its driver.

Beam's waits for minutes, holding memory, for a driver that was killed before the two first spoke.
"""

import ctypes
import os
import sys
import threading
import time

_POLL_SECONDS = 1.0
# From glibc's malloc.h.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8
# Blocks from this size on go back to the system when they are freed.
_LARGE_BLOCK_BYTES = 1 << 20


def give_memory_back() -> None:
    """Have this process give freed memory back to the system at once, wherever glibc is.

    By its defaults glibc raises the size from which on it does so to that of the largest block freed, has an arena for
    each thread, and Arrow's allocator keeps what it had: the main job on 1 GB of text then had a peak of 1,749 MiB, not
    1,331 (`python -m benchmarks.memory`).
    """
    libc = ctypes.CDLL(None)
    if hasattr(libc, "mallopt"):
        for option, value in (
            (_M_TRIM_THRESHOLD, _LARGE_BLOCK_BYTES),
            (_M_MMAP_THRESHOLD, _LARGE_BLOCK_BYTES),
            (_M_ARENA_MAX, 1),
        ):
            libc.mallopt(option, value)
    import pyarrow as pa

    pa.set_memory_pool(pa.system_memory_pool())


def _end_with(driver: int) -> None:
    while os.getppid() == driver:
        time.sleep(_POLL_SECONDS)
    os._exit(1)


def main() -> None:
    """Serve the driver whose process id is the argument."""
    give_memory_back()
    threading.Thread(target=_end_with, args=(int(sys.argv[1]),), daemon=True).start()
    # Imported here: it takes a second, in which the driver may die.
    from apache_beam.runners.worker import sdk_worker_main

    sdk_worker_main.main(sys.argv)


if __name__ == "__main__":
    main()
