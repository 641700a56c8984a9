"""What the workers' image holds, tried without Docker: its commands in an environment of Python's, run by Beam's boot.

`boot` is what starts a worker in Beam's images. Here it sees neither this checkout nor the environment of the driver.
"""

import os
import pathlib
import re
import shutil
import subprocess
import sys

import pytest

from datapipe.engine.runner import Runner
from tests.helpers import NIGHTLY, ROOT, digests, prose, run_recipe, write_lines
from tests.programs import free_port, started

RECIPE = """
stages:
  - documents: {part_bytes: 40000}
  - language
  - language_filter: {min_score: 0.1}
  - measurements
  - rules
  - exact_duplicates
  - near_duplicates
  - embeddings
  - tokenizer: {vocabulary: 500}
  - tokens: {tokenizer: "{output}/tokenizer/tokenizer.json"}
  - mixture
  - shards
"""
BEAM = "2.77.0"
BOOT = f"go install github.com/apache/beam/sdks/v2/python/container@v{BEAM}"
POOL_PORT = 50000  # boot's own

pytestmark = [
    pytest.mark.skipif(not NIGHTLY, reason="`make test-all` runs it: minutes, most of them for installing"),
    pytest.mark.skipif(shutil.which("container") is None, reason=f"needs the program container: {BOOT}"),
    pytest.mark.skipif(shutil.which("unshare") is None or os.geteuid() != 0, reason="needs root and unshare"),
]


def commands(name: str) -> list[str]:
    """What the stage `worker` of the Dockerfile copies, or runs."""
    stage = (ROOT / "pipelines" / "dataflow" / "Dockerfile").read_text(encoding="utf-8").split("\nFROM ")[1]
    return re.findall(rf"^{name} (.+)$", stage.replace("\\\n", ""), re.MULTILINE)


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The variables of a process in the image, whose folders lie elsewhere."""
    root = tmp_path_factory.mktemp("image")
    venv, opt = root / "venv", root / "opt"
    around = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL_ENV"))},
        "PATH": f"{venv / 'bin'}{os.pathsep}{os.environ['PATH']}",
    }
    for variables in commands("ENV"):
        for name, value in (each.split("=", 1) for each in variables.split()):
            around[name] = value.replace("/opt/datapipe", str(opt)).replace("${PROCESSOR}", "haswell")
    modules = subprocess.run(["go", "env", "GOMODCACHE"], capture_output=True, text=True, check=True).stdout.strip()
    base = f"{modules}/github.com/apache/beam/sdks/v2@v{BEAM}/python/container/py311/base_image_requirements.txt"
    subprocess.run([sys.executable, "-m", "venv", venv], check=True)
    pip = [str(venv / "bin" / "pip"), "install", "--quiet", "--prefer-binary", "--no-deps"]
    subprocess.run([*pip, "--requirement", base, f"apache-beam=={BEAM}"], check=True)
    opt.mkdir()
    for names in commands("COPY"):
        *sources, target = names.split()
        for source in sources:
            if (ROOT / source).is_dir():
                shutil.copytree(ROOT / source, opt / target)
            else:
                shutil.copy(ROOT / source, opt)
    for command in commands("RUN"):
        subprocess.run(["sh", "-ec", command], cwd=opt, env=around, check=True)
    return around


def test_workers_in_the_image_give_the_bytes_of_a_local_run(image: dict[str, str], tmp_path: pathlib.Path) -> None:
    for base in ("here", "there"):
        (tmp_path / base / "documents").mkdir(parents=True)
        write_lines(tmp_path / base / "documents" / "a.jsonl", [{"text": prose(seed)} for seed in range(300)])
    run_recipe(RECIPE, tmp_path / "here", [str(tmp_path / "here" / "documents")])
    boot = tmp_path / "boot"
    shutil.copy(str(shutil.which("container")), boot)
    hidden = " && ".join(f"mount -t tmpfs none '{folder}'" for folder in {str(ROOT), sys.prefix, "/opt"})
    placed = f"mkdir -p /opt/apache/beam && cp '{boot}' /opt/apache/beam/boot"
    start = f"{hidden} && {placed} && cd / && exec '{boot}' --worker_pool"
    inside = [f"{name}={value}" for name, value in image.items()]
    job_port = free_port()
    module = "apache_beam.runners.portability.local_job_service_main"
    with (
        started("env", "-i", *inside, "unshare", "--mount", "sh", "-ec", start, port=POOL_PORT),
        started(sys.executable, "-m", module, f"--port={job_port}", port=job_port),
        Runner(
            1,
            (
                "--runner=PortableRunner",
                f"--job_endpoint=localhost:{job_port}",
                "--environment_type=EXTERNAL",
                f"--environment_config=localhost:{POOL_PORT}",
                "--sdk_location=container",
            ),
        ) as runner,
    ):
        run_recipe(RECIPE, tmp_path / "there", [str(tmp_path / "there" / "documents")], runner=runner)
    assert digests(tmp_path / "there" / "out") == digests(tmp_path / "here" / "out")
