"""A plain install outside the checkout: small, without torch, and every command works or names the extra it needs.

All tests share one fresh environment: `xdist_group` keeps them in one process.
"""

import dataclasses
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterator

import pyarrow.parquet as pq
import pytest

from tests.helpers import ROOT, SAMPLE

MAX_BASE_BYTES = 10**9
# Of no use to the default recipe: models, and peers that only tests and benchmarks ask.
EXTRAS_ONLY = (
    "torch",
    "nvidia",
    "triton",
    "sentence_transformers",
    "transformers",
    "sklearn",
    "scipy",
    "datasketch",
    "gguf",
)

pytestmark = pytest.mark.xdist_group("install")


@dataclasses.dataclass(frozen=True)
class Install:
    """A fresh environment: the wheel, the packages, and a folder to work in."""

    wheel: pathlib.Path
    environment: pathlib.Path
    folder: pathlib.Path

    def datapipe(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run the command as it is installed."""
        clean = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONHOME")}
        command = [str(self.environment / "bin" / "datapipe"), *arguments]
        return subprocess.run(command, cwd=self.folder, env=clean, capture_output=True, text=True, check=False)


def packages_of(environment: pathlib.Path) -> pathlib.Path:
    """Where the packages of an environment are."""
    (folder,) = environment.glob("lib/python*/site-packages")
    return folder


def take_kernels(module: pathlib.Path, installed: pathlib.Path) -> None:
    """Copy what numba has compiled of a module of this checkout: a minute of work, half of what all tests here take.

    Numba takes it for the installed module's own where size and time of change of the source are the same. What is not
    there yet is compiled anew.
    """
    changed = module.stat().st_mtime_ns
    os.utime(installed, ns=(changed, changed))
    for kernel in (module.parent / "__pycache__").glob(f"{module.stem}.*.nb[ic]"):
        shutil.copy(kernel, installed.parent / "__pycache__")


@pytest.fixture(scope="session")
def install(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Install]:
    """The wheel of this checkout, installed without extras, at the versions of constraints.txt."""
    folder = tmp_path_factory.mktemp("install")
    source, wheels, environment = folder / "source", folder / "wheels", folder / "environment"
    # A copy: setuptools leaves its build in the source, and takes along what an earlier build has left there.
    for name in ("datapipe", "tokenizer_training", "pipelines"):
        shutil.copytree(ROOT / name, source / name, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    pip: list[str | pathlib.Path] = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", wheels, source], check=True)
    (wheel,) = wheels.iterdir()
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", environment], check=True)
    into: list[str | pathlib.Path] = ["--python", environment / "bin" / "python"]
    subprocess.run([*pip, *into, "install", "--constraint", ROOT / "constraints.txt", wheel], check=True)
    for name in ("datapipe", "tokenizer_training"):
        for module in (ROOT / name).rglob("*.py"):
            take_kernels(module, packages_of(environment) / module.relative_to(ROOT))
    work = folder / "work"
    for name in ("documents", "instructions", "evaluation", "quality"):
        shutil.copytree(SAMPLE / name, work / name)
    yield Install(wheel, environment, work)
    shutil.rmtree(environment)  # pytest keeps the folders of three sessions


@pytest.fixture(scope="session")
def output(install: Install) -> pathlib.Path:
    """The output of the default recipe, which comes along as package data."""
    result = install.datapipe("run", "default", "--input", "documents", "--output", "out", "--workers", "1")
    assert result.returncode == 0, result.stderr
    return install.folder / "out"


def test_constraints_pin_every_requirement() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"].values()
    required = {re.split(r"[\[=<>]", line)[0] for lines in (project["dependencies"], *extras) for line in lines}
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pinned = {line.partition("==")[0].lower().replace("_", "-") for line in lines if not line.startswith("#")}
    assert {name.lower() for name in required} - pinned == {project["name"]}


def test_the_wheel_holds_every_module_and_recipe_and_nothing_else(install: Install) -> None:
    found = {name for name in zipfile.ZipFile(install.wheel).namelist() if ".dist-info/" not in name}
    modules = {
        str(path.relative_to(ROOT))
        for name in ("datapipe", "tokenizer_training")
        for path in (ROOT / name).rglob("*.py")
    }
    recipes = {f"datapipe/recipes/{path.name}" for path in (ROOT / "pipelines" / "recipes").glob("*.yaml")}
    typed = {"datapipe/py.typed", "tokenizer_training/py.typed"}
    data = {
        "datapipe/engine/report/page.css",
        "datapipe/engine/report/page.html.jinja",
        "datapipe/engine/report/page.js",
        "datapipe/engine/report/vega.LICENSE",
        "datapipe/engine/report/vega.js.gz",
        "datapipe/filters/word_thresholds.tsv",
        "tokenizer_training/classes.json",
    }
    assert recipes
    examples = (ROOT / "datapipe" / "filters" / "web_examples").glob("*.jsonl")
    data |= {str(path.relative_to(ROOT)) for path in examples}
    assert found == modules | recipes | typed | data


def test_the_base_is_small_and_has_no_torch(install: Install) -> None:
    present = {path.name for path in packages_of(install.environment).iterdir()}
    assert present.isdisjoint(EXTRAS_ONLY)
    assert (
        sum(path.stat().st_size for path in packages_of(install.environment).rglob("*") if path.is_file())
        <= MAX_BASE_BYTES
    )


def test_the_default_recipe_runs(output: pathlib.Path) -> None:
    shards = pq.read_table(output / "shards")
    assert len(shards) > 1000
    assert {"zh", "en"} <= set(shards.column("language").to_pylist())
    assert (output / "tokenizer" / "tokenizer.json").is_file()
    assert (output / "report.html").is_file()


def test_a_document_is_explained(install: Install, output: pathlib.Path) -> None:
    result = install.datapipe("explain", str(output), "0-17")
    assert result.returncode == 0, result.stderr
    assert re.match(r"(kept|removed by)\b.*\n0-17 ", result.stdout)


def test_stages_are_listed(install: Install) -> None:
    result = install.datapipe("stages")
    assert result.returncode == 0, result.stderr
    assert {"documents", "shards"} <= {line.split(" ")[0] for line in result.stdout.splitlines()}


def test_a_tokenizer_is_trained_and_exported(install: Install, output: pathlib.Path) -> None:
    sizes = ("--algorithm", "byte_fallback", "--vocabulary", "1000", "--chinese", "100")
    trained = install.datapipe("tokenizer", "train", "--input", str(output), "--output", "trained", *sizes)
    assert trained.returncode == 0, trained.stderr
    for form in ("json", "transformers", "sentencepiece"):
        arguments = ("trained/tokenizer.json", "--to", form, "--output", f"exported.{form}")
        exported = install.datapipe("tokenizer", "export", *arguments)
        if exported.returncode:
            check_names_extra(exported, "export")
        else:
            assert (install.folder / f"exported.{form}").exists()


@pytest.mark.parametrize(
    ("stage", "extra"),
    [("embeddings: {model: some/model}", "models"), ("near_duplicates: {scheme: datasketch}", "datasketch")],
)
def test_a_recipe_that_needs_an_extra_says_so(install: Install, stage: str, extra: str) -> None:
    (install.folder / "extra.yaml").write_text(f"description: extra\nstages:\n  - documents\n  - {stage}\n")
    result = install.datapipe("run", "extra.yaml", "--input", "documents", "--output", "extra")
    check_names_extra(result, extra)
    assert result.stderr.startswith("datapipe: extra.yaml:4: ")


@pytest.mark.parametrize(
    ("command", "extra"),
    [
        ("run default --input gs://bucket/documents --output remote", "gcp"),
        ("run default --input documents --output s3://bucket/remote", "aws"),
        ("explain gs://bucket/out 0-17", "gcp"),
        ("tokenizer export out/tokenizer/tokenizer.json --to gguf --output exported.gguf", "export"),
    ],
)
def test_a_command_that_needs_an_extra_says_so(
    install: Install, output: pathlib.Path, command: str, extra: str
) -> None:
    assert output.is_dir()
    check_names_extra(install.datapipe(*command.split()), extra)


def check_names_extra(result: subprocess.CompletedProcess[str], extra: str) -> None:
    assert result.returncode == 2
    (line,) = result.stderr.splitlines()
    assert line.endswith(f"pip install 'datapipe-llm[{extra}]'")
