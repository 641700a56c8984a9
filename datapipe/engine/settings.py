"""Options set on the command line, `--set rules.thresholds.en.gopher_min_words=30`, put into a recipe before its check.

So that an error of a recipe and one of a setting are found by the same checks, and `run.json` holds what was run.
"""

from collections.abc import Iterator, Sequence

import yaml

from datapipe.near import suggest

SHOWN = "--set"
_MAP, _STRING, _NULL = (f"tag:yaml.org,2002:{name}" for name in ("map", "str", "null"))
_Place = tuple[list[yaml.Node], int]  # a list of stages, and the number of an entry in it


def apply_settings(root: yaml.Node, settings: Sequence[str]) -> None:
    """Put settings into the nodes of a recipe.

    Args:
        root: of the recipe; its stages are changed.
        settings: `stage.option=value`, or deeper, `stage.option.key.key=value`; the value is YAML.

    Raises:
        ValueError: if a setting is none, or names no stage of the recipe.
    """
    for setting in settings:
        path, equals, value = setting.partition("=")
        stage, *keys = path.split(".")
        if not equals or not keys or not all((stage, *keys)):
            raise ValueError(f"{SHOWN} must be stage.option=value, got {setting!r}")
        places = [*_places(root)]
        place = next((place for place in places if _name(place) == stage), None)
        if place is None:
            known = suggest(stage, [_name(place) for place in places])
            raise ValueError(f"{SHOWN} {setting}: the recipe has no stage {stage!r}{known}")
        try:
            node = yaml.compose(value, Loader=yaml.SafeLoader) or yaml.ScalarNode(_NULL, "")
        except yaml.YAMLError as error:
            raise ValueError(f"{SHOWN} {setting}: the value is no YAML") from error
        _put(_options(place), keys, _marked(node, setting))


def _places(root: yaml.Node) -> Iterator[_Place]:
    """Where each entry of stages stands, those in branches, too."""
    if isinstance(root, yaml.MappingNode):
        for key, value in root.value:
            if key.value == "stages" and isinstance(value, yaml.SequenceNode):
                yield from _listed(value)


def _listed(node: yaml.SequenceNode) -> Iterator[_Place]:
    for at, entry in enumerate(node.value):
        inner = entry
        if isinstance(entry, yaml.MappingNode) and len(entry.value) == 1:
            inner = entry.value[0][1]  # of branches, a list; of a stage, its options
        if isinstance(inner, yaml.SequenceNode):
            yield from _listed(inner)
        else:
            yield node.value, at


def _name(place: _Place) -> str:
    entry = place[0][place[1]]
    return str(entry.value[0][0].value if isinstance(entry, yaml.MappingNode) and entry.value else entry.value)


def _options(place: _Place) -> yaml.MappingNode:
    """The options of an entry of stages, which becomes one with options if it was a bare name."""
    siblings, at = place
    entry = siblings[at]
    key, options = (entry, None) if isinstance(entry, yaml.ScalarNode) else entry.value[0]
    if not isinstance(options, yaml.MappingNode):
        options = _mapping(entry)
        siblings[at] = yaml.MappingNode(_MAP, [(key, options)], entry.start_mark, entry.end_mark)
    return options


def _mapping(like: yaml.Node) -> yaml.MappingNode:
    return yaml.MappingNode(_MAP, [], like.start_mark, like.end_mark)


def _put(options: yaml.MappingNode, keys: Sequence[str], value: yaml.Node) -> None:
    """Set the value at the end of the keys, and make mappings on the way to it."""
    key, *rest = keys
    there = next((node for name, node in options.value if name.value == key), None)
    if rest:
        inner = there if isinstance(there, yaml.MappingNode) else _mapping(value)
        _put(inner, rest, value)
        value = inner
    name = yaml.ScalarNode(_STRING, key, value.start_mark, value.end_mark)
    others = [(other, node) for other, node in options.value if other.value != key]
    options.value = [*others, (name, value)]


def _marked(node: yaml.Node, setting: str) -> yaml.Node:
    """The node, and those in it, with a mark that names the setting: where an error of it is."""
    mark = yaml.Mark(f"{SHOWN} {setting}", 0, 0, 0, None, 0)
    node.start_mark = node.end_mark = mark
    children = node.value if isinstance(node, yaml.SequenceNode | yaml.MappingNode) else ()
    for child in children:
        for each in child if isinstance(child, tuple) else (child,):
            _marked(each, setting)
    return node
