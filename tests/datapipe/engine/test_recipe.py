"""A recipe that could fail later is refused at once, with file, line and a suggestion."""

import pathlib
from typing import Any

import pytest

from datapipe.commands.recipes import RECIPES
from datapipe.engine.recipe import RecipeError, load_recipe, recipe_schema
from datapipe.engine.stages import STAGES
from datapipe.read.parts import read_groups

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
        ("stages:\n  - !!python/object:os.system {}\n", "a stage is one name"),
        ("stages:\n  - documents: {format: !!python/name:os.system }\n", "not plain YAML"),
    ],
)
def test_a_recipe_without_a_run_in_it_is_refused(text: str, message: str, tmp_path: pathlib.Path) -> None:
    with pytest.raises(RecipeError, match=message):
        load(tmp_path, text)


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
    assert [item["const"] for item in items if "const" in item] == [stage.name for stage in STAGES]
    near = next(item for item in items if "near_duplicates" in item.get("properties", {}))
    threshold = near["properties"]["near_duplicates"]["properties"]["threshold"]
    assert (threshold["exclusiveMinimum"], threshold["maximum"], threshold["default"]) == (0, 1, 0.8)
