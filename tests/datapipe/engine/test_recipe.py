"""A recipe that could fail later is refused at once, with file, line and a suggestion."""

import os
import pathlib
import re
from typing import Any

import pytest

from datapipe.commands.recipes import RECIPES
from datapipe.engine.recipe import RecipeError, load_recipe, recipe_schema
from datapipe.engine.stages import all_stages
from datapipe.read.parts import read_groups
from tests.helpers import at_most

VARIABLES = {"input_parent": "/data", "output": "/out"}


def load(tmp_path: pathlib.Path, text: str) -> Any:
    path = tmp_path / "toy.yaml"
    path.write_text(text, encoding="utf-8")
    return load_recipe(str(path), VARIABLES)


def test_a_recipe_gives_its_stages_in_order(tmp_path: pathlib.Path) -> None:
    recipe = load(tmp_path, "description: toy\nstages:\n  - documents: {part_bytes: 1000}\n  - language\n")
    assert recipe.name == "toy"
    assert recipe.description == "toy"
    assert [stage.name for stage in recipe.stages] == ["documents", "language"]
    assert recipe.stages[0].part_bytes == 1000


def test_placeholders_are_filled_in(tmp_path: pathlib.Path) -> None:
    text = "stages:\n  - documents\n  - instructions: {paths: ['{input_parent}/instructions']}\n"
    assert load(tmp_path, text).stages[1].paths == ["/data/instructions"]


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("stages: [documents]\nstage: []\n", 2, "unknown key 'stage'; did you mean 'stages'"),
        ("stages:\n  - documents\n  - langage\n", 3, "unknown stage 'langage'; did you mean 'language'"),
        ("stages:\n  - documents:\n      part_byte: 1\n", 3, "unknown option 'part_byte'; did you mean 'part_bytes'"),
        ("stages:\n  - documents:\n      part_bytes: many\n", 3, "part_bytes must be a whole number, got 'many'"),
        ("stages:\n  - documents:\n      part_bytes: true\n", 3, "part_bytes must be a whole number, got True"),
        ("stages:\n  - documents:\n      part_bytes: 0\n", 3, "part_bytes must be at least 1, got 0"),
        ("stages:\n  - documents\n  - documents\n", 3, "the stage 'documents' is listed twice"),
        ("stages:\n  - documents:\n      format: text\n      format: text\n", 4, "'format' is listed twice"),
        ("stages:\n  - documents\n  - rules\n", 3, "put the stage 'language' before it"),
        ("stages:\n  - documents\n  - language: {only: {source: web}}\n", 3, "only.source must be a list, got 'web'"),
        ("stages:\n  - documents: {only: {source: [web]}}\n", 2, "unknown option 'only'"),
        ("stages:\n  - documents\n  - exact_duplicates: {only: {bucket: [a]}, quality: tokens}\n", 3, "'tokens'"),
        ("stages:\n  - documents\n  - branches: [[language]]\n", 3, "must be two or more lists of stages"),
        ("stages:\n  - documents\n  - branches: [[language], [shards]]\n", 3, "a branch holds stages that judge"),
        (
            "stages:\n  - documents\n  - branches: [[language], [language_filter]]\n",
            3,
            "'language', in a branch beside it",
        ),
        (
            "stages:\n  - documents\n  - language\n  - branches: [[exact_duplicates], [lines]]\n",
            4,
            "column 'text' of 'lines'",
        ),
        ("stages:\n  - documents\n  - tokens\n", 3, "tokens: tokenizer must be given"),
        ("stages:\n  - documents\n  - tokens: {tokenizer: ''}\n", 3, "tokenizer must have at least 1"),
        (
            "stages:\n  - documents\n  - tokens: {tokenizer: '{output}/tokenizer/tokenizer.json'}\n  - tokenizer\n",
            3,
            "put 'tokenizer' before it",
        ),
        ("stages:\n  - documents\n  - language\n  - language_filter: {keep: [english]}\n", 4, "got 'english'"),
        (
            "stages:\n  - documents\n  - language\n  - measurements: {stop_words: {zz: [a]}}\n",
            4,
            "must be a language code of ISO 639",
        ),
        (
            "stages:\n  - documents\n  - language\n  - measurements\n  - rules: {thresholds: {english: {}}}\n",
            5,
            "got 'english'",
        ),
        ("stages:\n  - documents\n  - sketches\n", 3, "'sketches' is now called 'signatures'"),
        (
            "stages:\n  - documents\n  - instructions: {paths: ['{beside}/instructions']}\n",
            3,
            "{beside} is now called {input_parent}",
        ),
        ("stages:\n  - documents\n  - shards: {folder: /nowhere}\n", 3, "'folder' is set by datapipe itself"),
        ("stages:\n  - documents\n  - decontamination: {kinds: [document]}\n", 3, "'kinds' is now called 'parts'"),
        (
            "stages:\n  - documents\n  - mixture: {by: kind}\n",
            3,
            "mixture: by is a list now: write `by: [part_kind]`",
        ),
        ("stages:\n  - documents\n  - mixture: {tokens: 9}\n", 3, "'tokens' is now called 'budget'"),
        (
            "stages:\n  - documents\n  - upsampling: {clusters: 9}\n",
            3,
            "'clusters' is now 'count' of the stage 'topics', put before 'upsampling'",
        ),
        ("stages: documents\n", 1, "`stages` must be a list"),
        ("stages:\n  - documents: 7\n", 2, "the options of 'documents' must be a mapping"),
        ("stages:\n  - {documents: {}, language: {}}\n", 2, "a stage is one name with its options"),
        ("- documents\n", 1, "a recipe must be a mapping"),
    ],
)
def test_errors_name_file_line_and_remedy(text: str, line: int, message: str, tmp_path: pathlib.Path) -> None:
    with pytest.raises(RecipeError) as error:
        load(tmp_path, text)
    assert str(error.value).startswith(f"{tmp_path}/toy.yaml:{line}: ")
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "a recipe must be a mapping"),
        ("description: x\n", "needs a list of `stages`"),
        ("stages: []\n", "the first stage must be 'documents'"),
        ("stages:\n  - language\n", "the first stage must be 'documents'"),
        ("stages: [\n", "not valid YAML"),
        ("stages:\n  - !!python/object:os.system {}\n", "means nothing here"),
        ("stages:\n  - documents: {format: !!python/name:os.system }\n", "means nothing here"),
    ],
)
def test_a_recipe_without_a_run_in_it_is_refused(text: str, message: str, tmp_path: pathlib.Path) -> None:
    with pytest.raises(RecipeError, match=message):
        load(tmp_path, text)


LAUGHS = b"&a [x, x, x, x, x, x, x, x]\n" + b"".join(
    b" - &%c [%s]\n" % (98 + level, b", ".join([b"*%c" % (97 + level)] * 8)) for level in range(20)
)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"stages:\n - documents\ndescription:\n - " + LAUGHS, "more than 100000 values"),
        (b"stages: &a [documents, *a]\n", "an alias stands for what it stands in"),
        (b"stages:\n - documents: {fields: &a {x: *a}}\n", "an alias stands for what it stands in"),
        (b"stages:\n - documents: &a {<<: *a}\n", "an alias stands for what it stands in"),
        (b"stages: " + b"[" * 5000 + b"]" * 5000, "nested too deep"),
        (b"stages:\n - documents: {fields: " + b"[" * 50 + b"]" * 50 + b"}", "nested too deep"),
        (b"stages:\n - ? [documents, x]\n   : 1\n", "a name must be a string, not a list"),
        (b"stages:\n - documents: {fields: {{a: b}: c}}\n", "a name must be a string, not a list"),
        (b"stages:\n - documents: {fields: {text: a, text: b}}\n", "'text' is listed twice"),
        (b"stages:\n\t- documents\n", "not valid YAML: found character '\\t' that cannot start any token in line 2"),
        (b"stages:\0\n", "not valid YAML"),
        (b'stages:\n - documents: {format: "a\\0b"}\n', "a NUL or half a character"),
        (b'stages:\n - documents: {format: "\\ud800"}\n', "a NUL or half a character"),
        ("stages: [documents]\n".encode("utf-16"), "not UTF-8"),
        (b"stages:\n - documents: {max_expansion: .nan}\n", "must be a finite number, got nan"),
        (b"stages:\n - documents: {max_expansion: .inf}\n", "must be a finite number, got inf"),
        (b"stages:\n - documents: {max_expansion: 2024-01-01}\n", "must be a number, got datetime.date"),
        (b"stages:\n - documents: {max_expansion: 2024-99-99}\n", "no timestamp: month must be in 1..12"),
        (b"stages:\n - documents: {part_bytes: " + b"9" * 40 + b"}\n", "a number of more than 64 bits"),
        (b"stages:\n - documents: {part_bytes: " + b"9" * 5000 + b"}\n", "no int: Exceeds the limit"),
        (b"stages:\n - documents: {part_bytes: !!int x}\n", "no int: invalid literal"),
        (b"every_row: !!bool x\nstages: [documents]\n", "no bool: 'x'"),
        (b"warn_removed: 50\nstages: [documents]\n", "warn_removed must be from 0 to 1, got 50"),
        (b"warn_removed: yes\nstages: [documents]\n", "warn_removed must be from 0 to 1, got True"),
        (b"stages: !mine [documents]\n", "the tag '!mine' means nothing here"),
        (b"description: !!python/object/apply:os.system [ls]\nstages: [documents]\n", "means nothing here"),
        (b"description: [a]\nstages: [documents]\n", "`description` must be a string"),
        (b"stages: [documents]\n---\nstages: [documents]\n", "but found another document in line 2"),
        (b"#" * (1 << 20) + b"\nstages: [documents]\n", "no larger than 1048576 bytes"),
    ],
)
def test_hostile_recipes_get_one_line(content: bytes, message: str, tmp_path: pathlib.Path) -> None:
    (tmp_path / "toy.yaml").write_bytes(content)
    with at_most(seconds=10), pytest.raises(RecipeError, match=re.escape(message)) as error:
        load_recipe(str(tmp_path / "toy.yaml"), VARIABLES)
    assert "\n" not in str(error.value)
    assert str(error.value).startswith(str(tmp_path / "toy.yaml"))


def test_what_recipes_share_may_be_said_once(tmp_path: pathlib.Path) -> None:
    text = "\ufeffstages:\n - documents: &a {part_bytes: 7}\n - instructions: {<<: *a, paths: [x]}\n"
    assert [stage.part_bytes for stage in load(tmp_path, text).stages] == [7, 7]


def test_a_recipe_that_is_no_file_is_not_waited_for(tmp_path: pathlib.Path) -> None:
    os.mkfifo(tmp_path / "pipe.yaml")
    for path in (tmp_path / "pipe.yaml", pathlib.Path("/dev/zero"), tmp_path):
        with at_most(seconds=10), pytest.raises(RecipeError, match="a recipe must be a file"):
            load_recipe(str(path), VARIABLES)


def test_an_absent_recipe_is_named() -> None:
    with pytest.raises(RecipeError, match=r"nowhere.yaml: no such recipe"):
        load_recipe("nowhere.yaml", VARIABLES)


@pytest.mark.parametrize("path", sorted(RECIPES.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_recipe_that_comes_along_loads(path: pathlib.Path) -> None:
    recipe = load_recipe(str(path), VARIABLES)
    assert recipe.description


def test_a_column_of_the_users_is_not_hidden_by_a_stage(tmp_path: pathlib.Path) -> None:
    stage = load(tmp_path, "stages: [documents]\n").stages[0]
    source = tmp_path / "in.jsonl"
    source.write_text('{"text": "a b c", "language": "mine", "title": "kept"}\n')
    (batch,) = read_groups(stage.plan([str(source)])[0], stage.read_options())
    assert batch.column("input_language").to_pylist() == ["mine"]
    assert batch.column("title").to_pylist() == ["kept"]


@pytest.mark.parametrize("stage", ["exact_duplicates", "near_duplicates", "embeddings\n  - topics\n  - upsampling"])
def test_a_column_of_quality_is_a_stages_or_the_users_own(stage: str, tmp_path: pathlib.Path) -> None:
    recipe = load(tmp_path, f"stages:\n  - documents\n  - {stage}: {{quality: stars}}\n")
    assert recipe.stages[-1].named_columns() == ("stars",)
    with pytest.raises(RecipeError, match=r"reads the column 'quality_score', .*; put the stage 'quality' before it"):
        load(tmp_path, f"stages:\n  - documents\n  - {stage}: {{quality: quality_score}}\n")


def test_spans_do_not_outlive_the_text_they_were_found_in(tmp_path: pathlib.Path) -> None:
    load(tmp_path, "stages: [documents, repeated_text, cut_repeated_text, personal_data]\n")
    with pytest.raises(RecipeError, match="put 'cut_repeated_text' before 'personal_data'"):
        load(tmp_path, "stages: [documents, repeated_text, personal_data, cut_repeated_text]\n")


def test_what_is_held_out_is_masked_too(tmp_path: pathlib.Path) -> None:
    load(tmp_path, "stages: [documents, personal_data, held_out]\n")
    with pytest.raises(RecipeError, match="not be masked; put 'personal_data' before 'held_out'"):
        load(tmp_path, "stages: [documents, held_out, personal_data]\n")


@pytest.mark.parametrize(
    ("stage", "column"),
    [
        ("mixture: {by: [stars]}", "stars"),
        ("quality_filter: {scores: {stars: 1.0}}", "stars"),
        ("shards: {columns: [stars]}", "stars"),
        ("tokenizer: {weight_column: stars}", "stars"),
        ("duplicate_ids: {column: stars}", "stars"),
    ],
)
def test_options_may_name_a_column_of_the_users(stage: str, column: str, tmp_path: pathlib.Path) -> None:
    tokens = "tokens: {tokenizer: some.json}"
    recipe = load(tmp_path, f"stages:\n  - documents\n  - {tokens}\n  - {stage}\n")
    assert recipe.stages[-1].named_columns() == (column,)


def test_languages_of_the_model_are_no_error(tmp_path: pathlib.Path) -> None:
    keep = "{keep: [sh, eml, code, und, zh, nds]}"
    assert load(tmp_path, f"stages:\n  - documents\n  - language\n  - language_filter: {keep}\n")


def test_the_schema_for_editors_knows_every_stage_and_option() -> None:
    schema = recipe_schema()
    items = schema["properties"]["stages"]["items"]["oneOf"]
    assert [item["const"] for item in items if "const" in item] == [stage.name for stage in all_stages()]
    near = next(item for item in items if "near_duplicates" in item.get("properties", {}))
    threshold = near["properties"]["near_duplicates"]["properties"]["threshold"]
    assert (threshold["exclusiveMinimum"], threshold["maximum"], threshold["default"]) == (0, 1, 0.8)
