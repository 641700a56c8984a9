"""Options: their types and ranges, the roles that names play in them, and names that must be known.

One form of error everywhere: `<stage>: <option> must be …, got …`. A range is part of an option's type, as in
`Annotated[int, Ge(1)]`: stated once, checked here, and shown to editors in the JSON schema of recipes.
"""

import dataclasses
import enum
import functools
import sys
import types
import typing
from collections.abc import Collection, Iterator
from typing import Annotated, Any, NamedTuple

from annotated_types import Ge, Gt, Le, Lt

from datapipe.near import suggest


class Role(enum.Enum):
    """What a string in an option names, beyond being a string."""

    FILES = "files"  # a file, folder or glob: a change of it is a change of the option
    COLUMN = "column"  # a column of an earlier stage or of the user's own


FilesOption = Annotated[str, Role.FILES]
ColumnOption = Annotated[str, Role.COLUMN]
Count = Annotated[int, Ge(1)]  # at least one of something
Seed = Annotated[int, Ge(0)]
Share = Annotated[float, Ge(0), Le(1)]
PositiveShare = Annotated[float, Gt(0), Le(1)]
Positive = Annotated[float, Gt(0)]
NotNegative = Annotated[float, Ge(0)]


# Beside ISO 639: source code, unknown, and the label of lid.176 that ISO 639 has withdrawn.
OTHER_LANGUAGES = ("code", "und", "eml")


def is_language(name: str) -> bool:
    """Whether a name is a language: a code of ISO 639, or one of `OTHER_LANGUAGES`."""
    import langcodes  # here: its table of all languages takes longer than to check all else

    return name in OTHER_LANGUAGES or langcodes.tag_is_valid(name)


def check_language(name: str) -> None:
    """Raise a ValueError that says what a name must be, if it is not a language as documents bear it."""
    if not is_language(name):
        raise ValueError("a language code of ISO 639, 'code' or 'und'")
    if name not in OTHER_LANGUAGES:
        import langcodes

        tag = langcodes.Language.get(name, normalize=False)
        code = langcodes.standardize_tag(tag.language or "")
        # Documents bear the two letters where there are any, and no country or script.
        plain = code if len(code) == 2 else tag.language
        if name != plain:
            raise ValueError(f"{plain!r}, which is what documents in that language bear")


Language = Annotated[str, check_language]  # as in the column `language`

# The types that options are made of, and what a value of another one must be.
_KINDS = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "a string",
    list: "a list",
    dict: "a mapping",
    type(None): "null",
}


@functools.cache
def option_types(owner: Any) -> dict[str, Any]:
    """The types of a dataclass's options with their ranges and roles, in order, without what users do not set."""
    hints = typing.get_type_hints(owner, include_extras=True)
    return {field.name: hints[field.name] for field in dataclasses.fields(owner) if field.init}


def check_options(owner: str, options: Any) -> None:
    """Check the fields of a dataclass against their types.

    Args:
        owner: the stage, for the error.
        options: a dataclass.

    Raises:
        ValueError: naming the owner, the option and its value.
    """
    owning: Any = type(options)
    for option, hint in option_types(owning).items():
        check_value(f"{owner}: {option}", hint, getattr(options, option))


class _Failure(NamedTuple):
    """What is wrong with a value, or with one within it.

    Attributes:
        path: where it is, as text.
        depth: how deep; a key lies deeper than what it stands before.
        is_kind: whether it is of the right kind, such as a number.
        must: what it must be, or have.
        value: what it is.
    """

    path: str
    depth: int
    is_kind: bool
    must: str
    value: Any


def check_value(where: str, hint: Any, value: Any) -> None:
    """Check a value against a type with ranges: no number for a string, no truth value for a number, no NaN.

    Raises:
        ValueError: saying where, what it must be, and what it is.
    """
    failures = list(_failures(hint, value, "", 0))
    if failures:
        worst = max(failures, key=lambda failure: failure.depth)
        same = [failure for failure in failures if (failure.path, failure.depth) == (worst.path, worst.depth)]
        must = " or ".join(dict.fromkeys(failure.must for failure in same))
        verb = "must" if must.startswith("have ") else "must be"
        raise ValueError(f"{where}{worst.path} {verb} {must}, got {worst.value!r}")


def _failures(hint: Any, value: Any, path: str, depth: int) -> Iterator[_Failure]:
    """All that is wrong with a value of a type."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    kind = origin or hint
    if origin is Annotated:
        failures = list(_failures(arguments[0], value, path, depth))
        yield from failures or (_Failure(path, depth, True, must, value) for must in _unmet(hint, value))
    elif origin in (typing.Union, types.UnionType):
        by_member = [list(_failures(member, value, path, depth)) for member in arguments]
        if all(by_member):
            failures = [
                failure
                for member, of_member in zip(arguments, by_member, strict=True)
                if member is not type(None)
                for failure in of_member
            ]
            # Those of the member that the user meant.
            worst = max((failure.depth, failure.is_kind) for failure in failures)
            yield from (failure for failure in failures if (failure.depth, failure.is_kind) == worst)
    elif origin is typing.Literal:
        if not any(type(value) is type(known) and value == known for known in arguments):
            yield _Failure(path, depth, False, f"one of {', '.join(map(repr, arguments))}", value)
    elif not _is_kind(value, kind):
        yield _Failure(path, depth, False, _KINDS[kind], value)
    elif kind is float and not -sys.float_info.max <= value <= sys.float_info.max:
        yield _Failure(path, depth, True, "a finite number", value)
    elif kind is list:
        for index, item in enumerate(value):
            yield from _failures(arguments[0], item, f"{path}[{index}]", depth + 1)
    elif kind is dict:
        for key, item in value.items():
            inner = f"{path}.{key}" if isinstance(key, str) else f"{path}[{key}]"
            yield from _failures(arguments[0], key, inner, depth + 2)
            yield from _failures(arguments[1], item, inner, depth + 1)


def _is_kind(value: Any, kind: type) -> bool:
    """Whether a value is of a kind: a whole number is a number, and a truth value is none."""
    return isinstance(value, (int, float) if kind is float else kind) and (kind is bool or not isinstance(value, bool))


def _unmet(hint: Any, value: Any) -> Iterator[str]:
    """What a value of the right kind must be, or have, by the bounds of its type, and is not or has not."""
    for bound in typing.get_args(hint)[1:]:
        if isinstance(bound, types.FunctionType):
            try:
                bound(value)
            except ValueError as error:
                yield str(error)
        elif (fewest := getattr(bound, "min_length", 0)) and len(value) < fewest:
            yield f"have at least {fewest} {'character' if isinstance(value, str) else 'item'}{'s' * (fewest > 1)}"
        elif (most := getattr(bound, "max_length", None)) is not None and len(value) > most:
            yield f"have at most {most} items"
        elif (
            (isinstance(bound, Ge) and value < bound.ge)
            or (isinstance(bound, Gt) and value <= bound.gt)
            or (isinstance(bound, Le) and value > bound.le)
            or (isinstance(bound, Lt) and value >= bound.lt)
        ):
            yield _range(hint)


def _range(hint: Any) -> str:
    """The bounds of a type in words."""
    bounds = {type(bound): bound for bound in typing.get_args(hint)[1:]}
    if Ge in bounds and Le in bounds:
        return f"between {bounds[Ge].ge} and {bounds[Le].le}"
    words = {Ge: "at least", Gt: "above", Le: "at most", Lt: "below"}
    said = [f"{words[kind]} {getattr(bound, kind.__name__.lower())}" for kind, bound in bounds.items() if kind in words]
    return " and ".join(said)


def named(options: Any, role: Role) -> list[str]:
    """The names that a dataclass's options give in a role, each once, in order; empty strings name nothing."""
    found: dict[str, None] = {}
    owning: Any = type(options)
    for option, hint in option_types(owning).items():
        found.update(dict.fromkeys(_named(hint, getattr(options, option), role)))
    return list(found)


def _named(hint: Any, value: Any, role: Role) -> Iterator[str]:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is Annotated:
        if role in arguments[1:]:
            if isinstance(value, str) and value:
                yield value
        else:
            yield from _named(arguments[0], value, role)
    elif origin in (typing.Union, types.UnionType):
        for argument in arguments:
            yield from _named(argument, value, role)
    elif origin in (list, tuple) and isinstance(value, list | tuple):
        for item in value:
            yield from _named(arguments[0], item, role)
    elif origin is dict and isinstance(value, dict):
        for key, item in value.items():
            yield from _named(arguments[0], key, role)
            yield from _named(arguments[1], item, role)


def check_known(problem: str, name: Any, known: Collection[str]) -> None:
    """Raise a ValueError that states the problem and the nearest known name, if the name is none of them."""
    if name not in known:
        raise ValueError(f"{problem} {name!r}{suggest(str(name), known)}")
