"""A recipe: one YAML file that names the stages in order, with their options, checked before anything runs.

    description: what this recipe is, and whose data side it follows
    every_row: false  # whether stages measure documents that are removed already, too: for studies
    stages:
      - documents: {normalization: {form: NFC}}
      - language
      - language_filter: {min_score: 0.5, only: {source: [web]}}
      - branches:
          - [exact_duplicates, near_duplicates]
          - [quality, quality_filter]

Any stage over documents takes `only`: by column, the values of the documents that it works on; the others pass it by.
Branches see the same documents, whatever the others remove; after them what every branch keeps goes on.

A recipe names data, never code. In option values `{input_parent}` stands for the folder that holds the input folder,
and `{output}` for the output folder.
"""

import dataclasses
import itertools
import json
import os
import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, cast

import yaml
from annotated_types import MinLen

from datapipe.checks import adapter, check_value, option_types
from datapipe.engine.provenance import NOT_PUBLIC, values_of
from datapipe.engine.renamed import LISTS, MOVED_OPTIONS, RENAMED_OPTIONS, RENAMED_STAGES, RENAMED_VARIABLES
from datapipe.engine.settings import SHOWN, apply_settings
from datapipe.engine.stages import COLUMNS, NAMES, WRITERS, all_stages, stage_class
from datapipe.near import suggest
from datapipe.read.documents import ReadDocuments
from datapipe.stage import CorpusStage, DocumentStage, Source, Stage
from datapipe.store import files
from datapipe.store.corpus import ALL_ROWS, View

_KEYS = ["description", "every_row", "stages", "warn_removed"]
ONLY = "only"
BRANCHES = "branches"
# No recipe comes near these; what does is made to fill the memory.
MAX_BYTES = 1 << 20
MAX_NODES = 100_000
MAX_LEVELS = 32
_MERGE = "tag:yaml.org,2002:merge"
_SCALARS = ("str", "int", "float", "bool", "null", "timestamp")
_TAGS = {_MERGE, *(f"tag:yaml.org,2002:{name}" for name in ("map", "seq", *_SCALARS))}
_NO_TEXT = re.compile("[\0\ud800-\udfff]")


class RecipeError(ValueError):
    """A recipe that cannot be run: file, line and what to change."""


@dataclasses.dataclass(frozen=True)
class Recipe:
    """A checked recipe.

    Attributes:
        name: the file's name without its ending.
        description: for `datapipe recipes` and the report.
        stages: the stages, in order, ready to run.
        every_row: whether document stages see the documents that an earlier stage has removed, too.
        warn_removed: a source or language that loses more than this share of its documents is named when the run is
            done, in the report and in `run.json`; 1: none is.
        stand_ins: the values that a comment calls not public, with what it says; see `datapipe.engine.provenance`.
        differences: from the recipe of datapipe's that it is, or began as, a line each; see `differences`.
    """

    name: str
    description: str
    stages: tuple[Stage, ...]
    every_row: bool = False
    warn_removed: float = 0.5
    stand_ins: tuple[str, ...] = ()
    differences: tuple[str, ...] = ()


def load_recipe(path: str, variables: Mapping[str, str], settings: Sequence[str] = ()) -> Recipe:
    """Read and check a recipe.

    Args:
        path: the YAML file.
        variables: what `{name}` stands for in option values.
        settings: options in place of the recipe's: see `datapipe.engine.settings`.

    Raises:
        RecipeError: on anything that could go wrong later, with file and line.
    """
    root, text = _read(path)
    if root is not None and settings:
        apply_settings(root, settings)
        _measure(path, root, {}, ())
    fields = _mapping(path, root, "a recipe")
    for key, (key_node, _) in fields.items():
        if key not in _KEYS:
            raise _error(path, key_node, f"unknown key {key!r}{suggest(key, _KEYS)}")
    if "stages" not in fields:
        raise RecipeError(f"{path}: a recipe needs a list of `stages`")
    node = fields["stages"][1]
    if not isinstance(node, yaml.SequenceNode):
        raise _error(path, node, "`stages` must be a list")
    stages, branch_of = _stages(path, node, variables)
    _check_order(path, stages, variables)
    _check_branches(path, stages, branch_of)
    description = _plain(path, fields["description"][1]) if "description" in fields else ""
    if isinstance(description, list | dict):
        raise _error(path, fields["description"][1], "`description` must be a string")
    every_row = _plain(path, fields["every_row"][1]) if "every_row" in fields else False
    if not isinstance(every_row, bool):
        raise _error(path, fields["every_row"][1], f"every_row must be true or false, got {every_row!r}")
    warn_removed = _plain(path, fields["warn_removed"][1]) if "warn_removed" in fields else Recipe.warn_removed
    if isinstance(warn_removed, bool) or not isinstance(warn_removed, int | float) or not 0 <= warn_removed <= 1:
        raise _error(path, fields["warn_removed"][1], f"warn_removed must be from 0 to 1, got {warn_removed!r}")
    name = os.path.splitext(os.path.basename(path))[0]  # noqa: PTH119, PTH122 - the path may be a gs:// one
    stand_ins = tuple(
        f"{value.stage}{f': {value.option}: {value.value}' if value.option else ''}: {value.comment}"
        for value in values_of(text)
        if value.kind == NOT_PUBLIC
    )
    return Recipe(
        name, str(description).strip(), tuple(stage for _, stage in stages), every_row, warn_removed, stand_ins
    )


def _read(path: str) -> tuple[yaml.Node | None, str]:
    """The nodes of a YAML file, a tree of a bounded size, of names and values that JSON has, too; and its text."""
    if not files.exists(path):
        raise RecipeError(f"{path}: no such recipe; `datapipe recipes` lists those that come with datapipe")
    if files.is_local(path) and not os.path.isfile(path):  # noqa: PTH113 - as text, like remote ones
        raise RecipeError(f"{path}: a recipe must be a file")
    with files.open_input(path) as source:
        content = bytes(source.read(MAX_BYTES + 1))
    if len(content) > MAX_BYTES:
        raise RecipeError(f"{path}: a recipe must be no larger than {MAX_BYTES} bytes")
    try:
        text = content.decode()
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except UnicodeDecodeError as error:
        raise RecipeError(f"{path}: not UTF-8: {error}") from error
    except yaml.YAMLError as error:
        raise RecipeError(f"{path}: not valid YAML: {_in_one_line(error)}") from error
    except RecursionError as error:
        raise RecipeError(f"{path}: nested too deep") from error
    if root is not None:
        _measure(path, root, {}, ())
    return root, text


def _in_one_line(error: yaml.YAMLError) -> str:
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or " ".join(str(error).split())
    return f"{problem} in line {mark.line + 1}" if mark else problem


def _measure(path: str, node: yaml.Node, sizes: dict[int, int], above: tuple[yaml.Node, ...]) -> int:
    """How many nodes there are from a node on, with what aliases stand for written out.

    Args:
        path: of the recipe.
        node: the node.
        sizes: of the nodes measured so far, by their identity.
        above: those that it stands in.

    Raises:
        RecipeError: if it is too large or too deep, holds itself, repeats a name, or is nothing that an option can be.
    """
    if id(node) in sizes:
        return sizes[id(node)]
    if node in above:
        raise _error(path, node, "an alias stands for what it stands in")
    if len(above) == MAX_LEVELS:
        raise _error(path, node, "nested too deep")
    if node.tag not in _TAGS:
        raise _error(path, node, f"the tag {node.tag!r} means nothing here")
    if isinstance(node, yaml.MappingNode):
        _mapping(path, node, "what stands here")
        children = [child for pair in node.value for child in pair]
    else:
        children = node.value if isinstance(node, yaml.SequenceNode) else []
    if isinstance(node, yaml.ScalarNode) and node.tag != _MERGE:
        value = _plain(path, node)
        if isinstance(value, int) and not -(2**63) <= value < 2**63:
            raise _error(path, node, "a number of more than 64 bits")
        if isinstance(value, str) and _NO_TEXT.search(value):
            raise _error(path, node, f"a NUL or half a character in {value!r}")
    size = 1 + sum(_measure(path, child, sizes, (*above, node)) for child in children)
    if size > MAX_NODES:
        raise _error(path, node, f"more than {MAX_NODES} values")
    sizes[id(node)] = size
    return size


def _error(path: str, node: yaml.Node, message: str) -> RecipeError:
    set_by_hand = node.start_mark.name.startswith(SHOWN)
    return RecipeError(f"{node.start_mark.name if set_by_hand else f'{path}:{node.start_mark.line + 1}'}: {message}")


def _mapping(path: str, node: yaml.Node | None, what: str) -> dict[str, tuple[yaml.Node, yaml.Node]]:
    if not isinstance(node, yaml.MappingNode):
        where = f"{path}:{node.start_mark.line + 1}" if node else path
        raise RecipeError(f"{where}: {what} must be a mapping of names to values")
    entries: dict[str, tuple[yaml.Node, yaml.Node]] = {}
    for key, value in node.value:
        if not isinstance(key, yaml.ScalarNode):
            raise _error(path, key, "a name must be a string, not a list or a mapping")
        if key.value in entries:
            raise _error(path, key, f"{key.value!r} is listed twice")
        entries[str(key.value)] = (key, value)
    return entries


def _plain(path: str, node: yaml.Node) -> Any:
    try:
        return yaml.SafeLoader("").construct_document(node)
    except yaml.YAMLError as error:
        raise _error(path, node, f"not plain YAML: {_in_one_line(error)}") from error
    except (ValueError, KeyError, OverflowError) as error:  # of YAML's own constructors
        raise _error(path, node, f"no {node.tag.rpartition(':')[2]}: {error}") from error


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


_Listed = list[tuple[yaml.Node, Stage]]
_Only = Annotated[dict[str, Annotated[list[str], MinLen(1)]], MinLen(1)]


def _stages(
    path: str, node: yaml.SequenceNode, variables: Mapping[str, str]
) -> tuple[_Listed, dict[str, tuple[int, int]]]:
    """The stages in order, branches one after the other, and of which branches each stage in one is, and of which."""
    stages: _Listed = []
    branch_of: dict[str, tuple[int, int]] = {}
    for item in node.value:
        branches = _branches(path, item)
        if branches is None:
            stages.append((item, _stage(path, item, variables)))
            continue
        before: tuple[str, ...] = ()
        for number, branch in enumerate(branches):
            found = [(entry, _stage(path, entry, variables)) for entry in branch]
            for entry, stage in found:
                if not isinstance(stage, DocumentStage | CorpusStage):
                    raise _error(path, entry, f"{stage.name}: a branch holds stages that judge documents, no others")
                branch_of[stage.name] = (id(item), number)
                view = dataclasses.replace(stage.view, unseen=before)
                stages.append((entry, stage.ready(view=view)))
            before += tuple(stage.name for _, stage in found)
    return stages, branch_of


def _branches(path: str, node: yaml.Node) -> list[list[yaml.Node]] | None:
    """The entries of each branch, if a node of `stages` is branches."""
    if not isinstance(node, yaml.MappingNode) or [key.value for key, _ in node.value] != [BRANCHES]:
        return None
    ((_, listed),) = node.value
    of = listed.value if isinstance(listed, yaml.SequenceNode) else []
    if len(of) < 2 or not all(isinstance(branch, yaml.SequenceNode) and branch.value for branch in of):
        raise _error(path, listed, "`branches` must be two or more lists of stages")
    return [branch.value for branch in of]


def _check_branches(path: str, stages: _Listed, branch_of: Mapping[str, tuple[int, int]]) -> None:
    """Branches know nothing of each other: none reads what another writes."""
    for node, stage in stages:
        if stage.name not in branch_of:
            continue
        group, number = branch_of[stage.name]
        used = {*stage.requires(), *stage.optional(), *stage.named_columns(), *stage.view.columns}
        for _, other in stages:
            if branch_of.get(other.name, (group, number)) == (group, number) or branch_of[other.name][0] != group:
                continue
            shared = sorted(used & set(other.writes.names))
            if shared:
                raise _error(
                    path,
                    node,
                    f"{stage.name} reads the column {shared[0]!r} of {other.name!r}, in a branch beside it",
                )


def _only(path: str, name: str, node: yaml.Node, variables: Mapping[str, str]) -> View:
    """What `only` says: by column, the values of the documents that the stage works on."""
    given = _fill(_plain(path, node), variables)
    try:
        check_value(f"{name}: {ONLY}", _Only, given)
    except ValueError as error:
        raise _error(path, node, str(error)) from error
    return View(tuple(sorted((column, tuple(values)) for column, values in given.items())))


def _stage(path: str, node: yaml.Node, variables: Mapping[str, str]) -> Stage:
    """One entry of `stages`: a bare name, or a name with options."""
    name, name_node, options = str(node.value), node, dict[str, tuple[yaml.Node, yaml.Node]]()
    if not isinstance(node, yaml.ScalarNode):
        entries = _mapping(path, node, "a stage")
        if len(entries) != 1:
            raise _error(path, node, f"a stage is one name with its options, got {sorted(entries)}")
        ((name, (name_node, options_node)),) = entries.items()
        if _plain(path, options_node) is not None:
            options = _mapping(path, options_node, f"the options of {name!r}")
    if name in RENAMED_STAGES:
        raise _error(path, name_node, f"the stage {name!r} is now called {RENAMED_STAGES[name]!r}")
    if name not in NAMES:
        raise _error(path, name_node, f"unknown stage {name!r}{suggest(name, NAMES)}")
    made = stage_class(name)
    types = option_types(made)
    fields = {field.name: field for field in dataclasses.fields(cast(Any, made))}
    values = {}
    view = ALL_ROWS
    if ONLY in options and issubclass(made, DocumentStage | CorpusStage):
        view = _only(path, name, options.pop(ONLY)[1], variables)
    for option, (option_node, value_node) in options.items():
        if (name, option) in RENAMED_OPTIONS:
            raise _error(path, option_node, f"{name}: {option!r} is now called {RENAMED_OPTIONS[name, option]!r}")
        if (name, option) in MOVED_OPTIONS:
            stage_now, now = MOVED_OPTIONS[name, option]
            raise _error(
                path, option_node, f"{name}: {option!r} is now {now!r} of the stage {stage_now!r}, put before {name!r}"
            )
        if option in fields and option not in types:
            raise _error(path, option_node, f"{name}: {option!r} is set by datapipe itself, not by a recipe")
        if option not in types:
            raise _error(path, option_node, f"{name}: unknown option {option!r}{suggest(option, list(types))}")
        plain = _plain(path, value_node)
        for old, new in RENAMED_VARIABLES.items():
            if "{" + old + "}" in str(plain):
                raise _error(path, value_node, f"{name}: {option}: {{{old}}} is now called {{{new}}}")
        if (name, option) in LISTS and isinstance(plain, str):
            new = LISTS[name, option].get(plain, plain)
            raise _error(path, value_node, f"{name}: {option} is a list now: write `{option}: [{new}]`")
        values[option] = _fill(plain, variables)
        try:
            check_value(f"{name}: {option}", types[option], values[option])
        except ValueError as error:
            raise _error(path, value_node, str(error)) from error
    for field in fields.values():
        needed = field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
        if field.init and needed and field.name not in values:
            raise _error(path, name_node, f"{name}: {field.name} must be given")
    try:
        stage = made(**values)
    except ValueError as error:
        raise _error(path, name_node, str(error)) from error
    if isinstance(stage, Source):
        # A stage's column would hide one of the user's with the same name, which then would be missing in the shards.
        return stage.ready(reserved=frozenset(column for columns in COLUMNS.values() for column in columns))
    return stage.ready(view=view) if view != ALL_ROWS else stage


def differences(recipe: Recipe, base: str, variables: Mapping[str, str]) -> tuple[str, ...]:
    """What a recipe does otherwise than one that comes along, a line each, in its own order.

    Args:
        recipe: a checked recipe.
        base: the YAML file of the other one. Of its stages those are made that the recipe has, too: the rest is named.
        variables: as of `load_recipe`.
    """
    ours = {stage.name: stage.options() for stage in recipe.stages}
    root, _ = _read(base)
    theirs = {}
    for item in _mapping(base, root, "a recipe")["stages"][1].value:
        for entry in itertools.chain(*(_branches(base, item) or [[item]])):
            name = str((entry if isinstance(entry, yaml.ScalarNode) else entry.value[0][0]).value)
            theirs[name] = _stage(base, entry, variables).options() if name in ours else {}
    lines = []
    for name, options in ours.items():
        if name not in theirs:
            lines.append(f"{name}: added")
            continue
        for option, value in options.items():
            if value != theirs[name][option]:
                lines.append(f"{name}.{option}: {json.dumps(value)}, there {json.dumps(theirs[name][option])}")
    lines += [f"{name}: left out" for name in theirs if name not in ours]
    common = [name for name in ours if name in theirs]
    if common != [name for name in theirs if name in ours]:
        lines.append(f"another order: {', '.join(common)}")
    return tuple(lines)


def defaults(stage: type[Stage]) -> dict[str, Any]:
    """The options that a recipe can give a stage, with their defaults as plain values; null where one must be given."""
    options = {}
    for field in dataclasses.fields(cast(Any, stage)):
        if field.init:
            value = field.default_factory() if field.default_factory is not dataclasses.MISSING else field.default
            options[field.name] = None if value is dataclasses.MISSING else value
    return options


def _check_order(path: str, stages: Sequence[tuple[yaml.Node, Stage]], variables: Mapping[str, str]) -> None:
    """Each stage is listed once, what it needs is made before it, and no place in a text outlives the text."""
    if not stages or not isinstance(stages[0][1], ReadDocuments) or stages[0][1].name != ReadDocuments.name:
        raise RecipeError(f"{path}: the first stage must be {ReadDocuments.name!r}")
    order = [stage.name for _, stage in stages]
    columns: dict[str, str] = {}  # and the last stage so far that writes each
    for position, (node, stage) in enumerate(stages):
        if stage.name in order[:position]:
            raise _error(path, node, f"the stage {stage.name!r} is listed twice")
        for column in (*stage.requires(), *stage.named_columns(), *stage.view.columns):
            writer = WRITERS.get(column)
            # A column that no stage writes and an option names is the user's own: only a run can tell.
            if column not in columns and (writer or column in stage.requires()):
                hint = f"; put the stage {writer!r} before it" if writer else ""
                raise _error(
                    path, node, f"{stage.name} reads the column {column!r}, which no earlier stage writes{hint}"
                )
        for file in stage.named_files():
            product = _product(file, variables.get("output", ""))
            if product in NAMES and product not in order[:position]:
                raise _error(
                    path, node, f"{stage.name} reads {file!r}, which {product!r} makes; put {product!r} before it"
                )
        if stage.name == "personal_data" and "held_out" in order[:position]:
            raise _error(path, node, f"what is held out would not be masked; put {stage.name!r} before 'held_out'")
        for column in stage.offsets_into_text:
            if order.index(columns["text"]) > order.index(columns[column]):
                raise _error(
                    path,
                    node,
                    f"{stage.name} reads the column {column!r}, but {columns['text']!r} has changed the text since; "
                    f"put {stage.name!r} before {columns['text']!r}",
                )
        columns.update(dict.fromkeys(stage.writes.names, stage.name))


def _product(file: str, output: str) -> str:
    """The stage whose folder in the output a path lies in; empty: in none."""
    inside = file.removeprefix(output.rstrip("/") + "/") if output else file
    return inside.partition("/")[0] if inside != file else ""


def recipe_schema() -> dict[str, Any]:
    """The JSON schema of recipes, with which editors complete and check them as they are written."""
    stages: list[dict[str, Any]] = []
    for stage in all_stages():
        properties = {}
        for option, default in defaults(stage).items():
            properties[option] = adapter(option_types(stage)[option]).json_schema()
            if default is not None:
                properties[option]["default"] = default
        if issubclass(stage, DocumentStage | CorpusStage):
            properties[ONLY] = adapter(_Only).json_schema()
        options = {"type": ["object", "null"], "properties": properties, "additionalProperties": False}
        summary = " ".join((stage.__doc__ or "").split("\n\n")[0].split())
        stages += [
            {"const": stage.name, "description": summary},
            {
                "type": "object",
                "properties": {stage.name: options | {"description": summary}},
                "required": [stage.name],
                "additionalProperties": False,
            },
        ]
    branches = {
        "type": "object",
        "properties": {
            BRANCHES: {"type": "array", "minItems": 2, "items": {"type": "array", "items": {"oneOf": stages}}}
        },
        "required": [BRANCHES],
        "additionalProperties": False,
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "datapipe recipe",
        "type": "object",
        "properties": {
            "description": {"type": "string"},
            "every_row": {"type": "boolean", "default": False},
            "warn_removed": {"type": "number", "minimum": 0, "maximum": 1, "default": Recipe.warn_removed},
            "stages": {"type": "array", "minItems": 1, "items": {"oneOf": [*stages, branches]}},
        },
        "required": ["stages"],
        "additionalProperties": False,
    }
