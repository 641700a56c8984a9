"""A local worker process: Beam's own, but one that ends with its driver.

Beam's waits for minutes, holding memory, for a driver that was killed before the two first spoke.
"""

import os
import sys
import threading
import time

_POLL_SECONDS = 1.0


def _end_with(driver: int) -> None:
    while os.getppid() == driver:
        time.sleep(_POLL_SECONDS)
    os._exit(1)


def main() -> None:
    """Serve the driver whose process id is the argument."""
    threading.Thread(target=_end_with, args=(int(sys.argv[1]),), daemon=True).start()
    # Imported here: it takes a second, in which the driver may die.
    from apache_beam.runners.worker import sdk_worker_main

    sdk_worker_main.main(sys.argv)


if __name__ == "__main__":
    main()
