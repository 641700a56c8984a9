"""A recipe: one YAML file that names the stages in order, with their options, checked before anything runs.

    description: what this recipe is, and whose data side it follows
    stages:
      - documents: {normalization: nfc}
      - language
      - language_filter: {min_score: 0.5}

A recipe names data, never code. In option values `{beside}` stands for the folder that holds the input folder, and
`{output}` for the output folder.
"""

import dataclasses
import difflib
import json
import os
import types
import typing
from collections.abc import Mapping
from typing import Any

import pyarrow as pa
import yaml

from datapipe.dedup.cut_repeated_text import CutRepeatedText
from datapipe.dedup.duplicate_ids import FindDuplicateIds
from datapipe.dedup.earlier_duplicates import FindEarlierDuplicates
from datapipe.dedup.embeddings import EmbedDocuments
from datapipe.dedup.exact_duplicates import FindExactDuplicates
from datapipe.dedup.near_duplicates import FindNearDuplicates
from datapipe.dedup.repeated_text import FindRepeatedText
from datapipe.dedup.semantic_duplicates import FindSemanticDuplicates
from datapipe.dedup.sketches import SketchDocuments
from datapipe.filters.language import IdentifyLanguage
from datapipe.filters.language_filter import FilterLanguage
from datapipe.filters.lines import RemoveLines
from datapipe.filters.measurements import MeasureText
from datapipe.filters.perplexity import ScorePerplexity
from datapipe.filters.perplexity_filter import FilterPerplexity
from datapipe.filters.personal_data import MaskPersonalData
from datapipe.filters.quality import ScoreQuality
from datapipe.filters.quality_filter import FilterQuality
from datapipe.filters.rules import ApplyRules
from datapipe.filters.safety import ScoreSafety
from datapipe.filters.safety_filter import FilterSafety
from datapipe.mix.decontamination import Decontaminate
from datapipe.mix.mixture import MixSources
from datapipe.mix.shards import WriteShards
from datapipe.mix.tokens import CountTokens
from datapipe.mix.upsampling import WeighClusters
from datapipe.read.documents import ReadDocuments
from datapipe.read.instructions import ReadInstructions
from datapipe.store import files
from tokenizer_training.train import TrainTokenizer

# Every stage a recipe can name, in the order in which data flows.
STAGES: tuple[type[Any], ...] = (
    ReadDocuments,
    FindDuplicateIds,
    IdentifyLanguage,
    FilterLanguage,
    RemoveLines,
    MeasureText,
    ApplyRules,
    ScoreQuality,
    ScorePerplexity,
    FilterPerplexity,
    ScoreSafety,
    FilterSafety,
    FilterQuality,
    FindExactDuplicates,
    SketchDocuments,
    FindEarlierDuplicates,
    FindNearDuplicates,
    FindRepeatedText,
    CutRepeatedText,
    EmbedDocuments,
    FindSemanticDuplicates,
    WeighClusters,
    MaskPersonalData,
    ReadInstructions,
    Decontaminate,
    TrainTokenizer,
    CountTokens,
    MixSources,
    WriteShards,
)


class RecipeError(ValueError):
    """A recipe that cannot be run: file, line and what to change."""


@dataclasses.dataclass(frozen=True)
class Recipe:
    """A checked recipe.

    Attributes:
        name: the file's name without its ending.
        description: for `datapipe recipes` and the report.
        stages: the stages, in order, ready to run.
    """

    name: str
    description: str
    stages: tuple[Any, ...]


def load_recipe(path: str, variables: Mapping[str, str]) -> Recipe:
    """Read and check a recipe.

    Args:
        path: the YAML file.
        variables: what `{name}` stands for in option values.

    Raises:
        RecipeError: on anything that could go wrong later, with file and line.
    """
    if not files.exists(path):
        raise RecipeError(f"{path}: no such recipe; `datapipe recipes` lists those that come with datapipe")
    with files.open_input(path) as source:
        text = bytes(source.read()).decode()
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError as error:
        raise RecipeError(f"{path}: not valid YAML: {error}") from error
    fields = _mapping(path, root, "a recipe")
    for key, (key_node, _) in fields.items():
        if key not in ("description", "stages"):
            raise _error(path, key_node, f"unknown key {key!r}{_suggest(key, ['description', 'stages'])}")
    if "stages" not in fields:
        raise RecipeError(f"{path}: a recipe needs a list of `stages`")
    node = fields["stages"][1]
    if not isinstance(node, yaml.SequenceNode):
        raise _error(path, node, "`stages` must be a list")
    stages = [(item, _stage(path, item, variables)) for item in node.value]
    _check_order(path, stages)
    description = _plain(path, fields["description"][1]) if "description" in fields else ""
    name = os.path.splitext(os.path.basename(path))[0]  # noqa: PTH119, PTH122 - the path may be a gs:// one
    return Recipe(name, str(description).strip(), tuple(stage for _, stage in stages))


def _error(path: str, node: yaml.Node, message: str) -> RecipeError:
    return RecipeError(f"{path}:{node.start_mark.line + 1}: {message}")


def _suggest(name: str, known: list[str]) -> str:
    close = difflib.get_close_matches(name, known, n=1)
    return f"; did you mean {close[0]!r}?" if close else f"; there are {', '.join(known)}"


def _mapping(path: str, node: yaml.Node | None, what: str) -> dict[str, tuple[yaml.Node, yaml.Node]]:
    if not isinstance(node, yaml.MappingNode):
        where = f"{path}:{node.start_mark.line + 1}" if node else path
        raise RecipeError(f"{where}: {what} must be a mapping of names to values")
    entries: dict[str, tuple[yaml.Node, yaml.Node]] = {}
    for key, value in node.value:
        if key.value in entries:
            raise _error(path, key, f"{key.value!r} stands twice")
        entries[str(key.value)] = (key, value)
    return entries


def _plain(path: str, node: yaml.Node) -> Any:
    try:
        return yaml.SafeLoader("").construct_document(node)
    except yaml.YAMLError as error:
        raise _error(path, node, f"not plain YAML: {error}") from error


def _fill(value: Any, variables: Mapping[str, str]) -> Any:
    if isinstance(value, str):
        for name, meaning in variables.items():
            value = value.replace("{" + name + "}", meaning)
        return value
    if isinstance(value, list):
        return [_fill(item, variables) for item in value]
    if isinstance(value, dict):
        return {key: _fill(item, variables) for key, item in value.items()}
    return value


def _stage(path: str, node: yaml.Node, variables: Mapping[str, str]) -> Any:
    """One entry of `stages`: a bare name, or a name with options."""
    name, name_node, options = str(node.value), node, dict[str, tuple[yaml.Node, yaml.Node]]()
    if not isinstance(node, yaml.ScalarNode):
        entries = _mapping(path, node, "a stage")
        if len(entries) != 1:
            raise _error(path, node, f"a stage is one name with its options, got {sorted(entries)}")
        ((name, (name_node, options_node)),) = entries.items()
        if _plain(path, options_node) is not None:
            options = _mapping(path, options_node, f"the options of {name!r}")
    classes = {stage.name: stage for stage in STAGES}
    if name not in classes:
        raise _error(path, name_node, f"unknown stage {name!r}{_suggest(name, list(classes))}")
    kind = classes[name]
    hints = typing.get_type_hints(kind)
    known = [field.name for field in dataclasses.fields(kind) if field.init]
    values = {}
    for option, (option_node, value_node) in options.items():
        if option not in known:
            raise _error(path, option_node, f"{name}: unknown option {option!r}{_suggest(option, known)}")
        value = _fill(_plain(path, value_node), variables)
        if not matches(value, hints[option]):
            wanted = hints[option].__name__ if isinstance(hints[option], type) else str(hints[option])
            raise _error(path, value_node, f"{name}: {option} must be {wanted}, got {value!r}")
        values[option] = value
    try:
        stage = kind(**values)
    except (ValueError, TypeError) as error:
        raise _error(path, name_node, str(error)) from error
    if hasattr(stage, "reserved"):
        # A stage's column would hide one of the user's with the same name, which then would be missing in the shards.
        stage.reserved = frozenset(column for other in STAGES for column in written(other).names)
    return stage


def defaults(stage: type[Any]) -> dict[str, Any]:
    """The options that a recipe can give a stage, with their defaults as plain values; null where one must be given."""
    options = {}
    for field in dataclasses.fields(stage):
        if field.init and field.name != "folder":
            value = field.default_factory() if field.default_factory is not dataclasses.MISSING else field.default
            options[field.name] = None if value is dataclasses.MISSING else value
    return json.loads(json.dumps(options, default=dataclasses.asdict))


def matches(value: Any, hint: Any) -> bool:
    """Whether a plain YAML value has the type that a field's annotation names."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if hint is Any:
        return True
    if origin in (typing.Union, types.UnionType):
        return any(matches(value, argument) for argument in arguments)
    if origin is typing.Literal:
        return value in arguments
    if origin is list:
        return isinstance(value, list) and all(matches(item, arguments[0]) for item in value)
    if origin is tuple:
        return isinstance(value, list) and all(matches(item, arguments[0]) for item in value)
    if origin in (dict, Mapping) or hint is dict:
        key, item = arguments or (Any, Any)
        return isinstance(value, dict) and all(matches(k, key) and matches(v, item) for k, v in value.items())
    if hint is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    if hint is int:
        return isinstance(value, int) and not isinstance(value, bool)
    return isinstance(value, hint)


def _check_order(path: str, stages: list[tuple[yaml.Node, Any]]) -> None:
    """Each stage stands once, what it reads is written before it, and no span of a text outlives the text."""
    if not stages or stages[0][1].name != ReadDocuments.name:
        raise RecipeError(f"{path}: the first stage must be {ReadDocuments.name!r}")
    seen: set[str] = set()
    columns: dict[str, str] = {}  # and the last stage that writes each
    for node, stage in stages:
        if stage.name in seen:
            raise _error(path, node, f"stage {stage.name!r} stands twice")
        seen.add(stage.name)
        named = [getattr(stage, field.name) for field in dataclasses.fields(stage) if field.init]
        optional = [column for column in getattr(stage, "may_read", ()) if column in named]
        for column in (*stage.reads, *optional):
            if column not in columns:
                writer = next((other.name for other in STAGES if column in written(other).names), None)
                if column in optional and not writer:
                    continue  # a column of the user's own
                hint = f"; put the stage {writer!r} before it" if writer else ""
                raise _error(
                    path, node, f"{stage.name} reads the column {column!r}, which no earlier stage writes{hint}"
                )
        order = [other.name for _, other in stages]
        for column in getattr(stage, "of_this_text", ()):
            if order.index(columns["text"]) > order.index(columns[column]):
                raise _error(
                    path,
                    node,
                    f"{stage.name} reads the column {column!r}, whose places in the text {columns['text']!r} has "
                    f"changed since; put {stage.name!r} before {columns['text']!r}",
                )
        columns.update(dict.fromkeys(written(stage).names, stage.name))


def written(stage: Any) -> pa.Schema:
    """The columns that a stage writes; none for a stage whose product is files."""
    return getattr(stage, "writes", None) or pa.schema([])
