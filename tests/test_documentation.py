"""What the documents say is what the code is: names, order, files, commands."""

import dataclasses
import importlib
import pathlib
import re
import subprocess
from typing import Any

import pytest
import yaml

import datapipe
from datapipe.commands.recipes import RECIPES
from datapipe.engine.stages import all_stages
from tests.helpers import ROOT, run_recipe, write_lines

DOCS = ROOT / "docs"
PACKAGES = ("datapipe", "tokenizer_training", "pipelines")


def test_the_public_names_are_runs_and_the_stages_in_the_order_of_the_data() -> None:
    assert datapipe.__all__ == ["run", "open", "clean", "Run", *(stage.__name__ for stage in all_stages())]
    assert [getattr(datapipe, name) for name in datapipe.__all__[4:]] == list(all_stages())
    with pytest.raises(AttributeError, match="Nothing"):
        _ = datapipe.Nothing


def test_the_default_recipe_follows_that_order() -> None:
    entries = yaml.safe_load((RECIPES / "default.yaml").read_text(encoding="utf-8"))["stages"]
    names = [entry if isinstance(entry, str) else next(iter(entry)) for entry in entries]
    assert names == [stage.name for stage in all_stages() if stage.name in names]


def test_the_tree_of_the_structure_names_every_module_once() -> None:
    tree = (DOCS / "structure.md").read_text(encoding="utf-8").split("<!-- tree -->")[1]
    named = re.findall(r"^ +(\w+\.py) ", tree, re.MULTILINE)
    present = [
        path.name for package in PACKAGES for path in (ROOT / package).rglob("*.py") if path.name != "__init__.py"
    ]
    assert sorted(named) == sorted(present)


@pytest.mark.parametrize("stage", all_stages(), ids=lambda stage: stage.name)
def test_every_option_of_a_stage_is_documented(stage: Any) -> None:
    options = re.findall(r"^ {8}(\w+):", stage.__doc__ or "", re.MULTILINE)
    own = [field.name for field in dataclasses.fields(stage) if field.init and field.name in stage.__annotations__]
    assert [name for name in options if name in own] == own


@pytest.mark.parametrize("package", PACKAGES)
def test_every_module_says_why_it_exists(package: str) -> None:
    for path in (ROOT / package).rglob("*.py"):
        if path.name == "__init__.py" and not path.read_text(encoding="utf-8"):
            continue  # a folder: a worker imports its stage and no other
        name = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        assert importlib.import_module(name).__doc__, name


def test_tests_mirror_the_files() -> None:
    untested = [
        path.relative_to(ROOT)
        for package in PACKAGES
        for path in (ROOT / package).rglob("*.py")
        if path.name != "__init__.py"
        and not (ROOT / "tests" / path.parent.relative_to(ROOT) / f"test_{path.name}").exists()
    ]
    assert untested == []


def test_no_test_module_imports_another() -> None:
    """What several share is in `tests/helpers.py`, a `conftest.py`, or a module of theirs that holds no tests."""
    imports = re.compile(r"^\s*(?:from|import) tests\.(?:\w+\.)*(?:test_\w+|conftest)\b", re.MULTILINE)
    importing = [path for path in (ROOT / "tests").rglob("*.py") if imports.search(path.read_text(encoding="utf-8"))]
    assert importing == []


@pytest.mark.parametrize("page", ["README.md", "README.zh.md", *(f"docs/{path.name}" for path in DOCS.glob("*.md"))])
def test_what_a_page_links_to_is_there(page: str) -> None:
    links = re.findall(r"\]\(([^)#]+?)(?:#[^)]*)?\)", (ROOT / page).read_text(encoding="utf-8"))
    missing = [link for link in links if "://" not in link and not ((ROOT / page).parent / link).exists()]
    assert missing == []


def test_nothing_tracked_names_a_folder_of_one_machine() -> None:
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    pattern = re.compile(r"(^|[^A-Za-z0-9_./-])/(work|root|home/\w+)/")
    for name in tracked:
        if name.endswith((".py", ".md", ".yaml", ".toml", ".txt")):
            assert not pattern.search((ROOT / name).read_text(encoding="utf-8", errors="replace")), name


def test_the_example_of_how_inputs_are_read_reads_them(tmp_path: pathlib.Path) -> None:
    inputs = (DOCS / "inputs.md").read_text(encoding="utf-8")
    example = re.findall(r"```yaml\n(stages:\n.*?)```", inputs, re.DOTALL)[0]
    (tmp_path / "in").mkdir()
    write_lines(tmp_path / "in" / "a.jsonl", [{"id": 1, "content": "one", "site": "x"}, {"id": 2, "body": "two\u3000"}])
    write_lines(tmp_path / "in" / "b.jsonl", [{"id": 2, "text": "three, with the id of the second"}])
    (tmp_path / "in" / "lines.txt").write_bytes("第一行，关于公园。\n第二行，关于河流。\n".encode("gb18030"))
    (tmp_path / "in" / "page.html").write_text("<nav>Home</nav><p>Write to jo@firm.org.</p>")
    (tmp_path / "in" / "semicolons.csv").write_text("id;text\n9;four\n10;\n")
    outcome = run_recipe(example, tmp_path, [str(tmp_path / "in")])
    kept = {row["text"]: row["source"] for part in outcome.corpus.parts for b in part.read(["text", "source"])
            for row in b.to_pylist()}  # fmt: skip
    assert kept == {
        "one": "x",
        "two": "a",
        "第一行,关于公园。": "lines",
        "第二行,关于河流。": "lines",
        "Home\n\nWrite to email@example.com.": "in",
        "four": "semicolons",
    }
    assert outcome.funnel.rejects == {"documents": {"empty_text": 1}}
    assert outcome.funnel.read.documents == 7
