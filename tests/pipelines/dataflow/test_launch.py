"""The launcher of a Flex template: the run first, by the launcher's flags, and then the template's own job."""

import json
import pathlib
import re

import pytest
from apache_beam.io.filesystems import FileSystems
from apache_beam.options.pipeline_options import PipelineOptions

from datapipe.engine.output import RunError
from datapipe.store import files
from pipelines.dataflow import launch
from tests import dataflow
from tests.helpers import NIGHTLY, ROOT, prose, write_lines

FOLDER = ROOT / "pipelines" / "dataflow"


def test_the_last_job_looks_whether_the_run_is_there(finished_run: pathlib.Path, tmp_path: pathlib.Path) -> None:
    assert launch.look(str(finished_run)) == 29
    with pytest.raises(RunError, match=r"no run\.json here"):
        launch.look(str(tmp_path))


def test_the_template_asks_for_what_a_run_needs() -> None:
    asked = json.loads((FOLDER / "flex_template.json").read_text(encoding="utf-8"))["parameters"]
    needed = {each["name"] for each in asked if not each.get("isOptional")}
    assert needed == {"input", "output", "sdk_container_image"}
    said = launch.arguments([f"--{each['name']}=gs://b/{each['name']}" for each in asked])
    assert said[:6] == ["run", "gs://b/recipe", "--input", "gs://b/input", "--output", "gs://b/output"]
    for each in asked:
        assert all(re.compile(pattern) for pattern in each.get("regexes", ()))


def test_the_image_holds_what_the_package_is_built_from() -> None:
    copied = re.findall(r"^COPY (?!--)(.+) \S+$", (FOLDER / "Dockerfile").read_text(encoding="utf-8"), re.MULTILINE)
    there = [name for names in copied for name in names.split()]
    assert all((ROOT / name).exists() for name in there)
    assert {"datapipe", "tokenizer_training", "pyproject.toml", "constraints.txt", "README.md", "LICENSE"} <= {*there}


@pytest.mark.skipif(not NIGHTLY, reason="`make test-all` runs it: a minute")
def test_a_launch_is_a_run_and_a_job_of_its_own(tmp_path: pathlib.Path) -> None:
    with dataflow.served(tmp_path) as service:
        before = FileSystems._pipeline_options  # type: ignore[attr-defined]
        FileSystems.set_options(PipelineOptions(service.flags))
        try:
            recipe, template = "gs://bucket/toy.yaml", "gs://bucket/template/job"
            with files.whole_file(recipe) as sink:
                sink.write(b"stages:\n  - documents\n  - exact_duplicates\n")
            write_lines("gs://bucket/in/a.jsonl", [{"text": prose(seed)} for seed in range(9)])
            given = [f"--recipe={recipe}", "--input=gs://bucket/in", "--output=gs://bucket/out"]
            assert launch.main([*given, *service.flags, f"{launch.TEMPLATE}={template}"]) == 0
            assert launch.look("gs://bucket/out") == 9
            described = files.read_json(template)
        finally:
            FileSystems.set_options(before)
    assert "pipelineUrl" in described["environment"]["sdkPipelineOptions"]["options"]
