"""What a worker's start costs: CPU seconds of new processes that each run one stage once, with an empty numba cache and
with the cache that the first has filled.

    python -m benchmarks.start

The cold start compiles the stage's kernels; numba keeps them beside the sources, so that it happens once a machine.
"""

import os
import resource
import subprocess
import sys
import tempfile

# Stages with kernels that run over every document.
STAGES = {
    "language": "from datapipe.filters.language import IdentifyLanguage as Stage",
    "lines": "from datapipe.filters.lines import RemoveLines as Stage",
    "measurements": "from datapipe.filters.measurements import MeasureText as Stage",
    "signatures": "from datapipe.dedup.signatures import ComputeSignatures as Stage",
}
IMPORT = "import pyarrow as pa, datapipe.store.corpus"
RUN = """
text = "To be, or not to be: that is the question. 生存还是毁灭，这是一个问题。"
Stage().process(pa.record_batch({"text": [text], "language": ["en"]}))
"""


def cpu_seconds(code: str, cache: str) -> float:
    """CPU seconds of a new process that runs some code with numba's cache in a folder."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"NUMBA_CACHE_DIR": cache},
        check=True,
        stderr=subprocess.DEVNULL,
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    """Print the table."""
    print(f"{'CPU seconds':16}{'cold':>8}{'warm':>8}")
    codes = {"import only": IMPORT} | {name: f"{IMPORT}\n{stage}\n{RUN}" for name, stage in STAGES.items()}
    for name, code in codes.items():
        with tempfile.TemporaryDirectory() as cache:
            cold, warm = (cpu_seconds(code, cache) for _ in range(2))
        print(f"{name:16}{cold:8.1f}{warm:8.1f}", flush=True)


if __name__ == "__main__":
    main()
