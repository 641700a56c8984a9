"""Options: their types and ranges, the roles that names play in them, and names that must be known.

One form of error everywhere: `<stage>: <option> must be …, got …`. A range is part of an option's type, as in
`Annotated[int, Ge(1)]`: stated once, checked by pydantic, and shown to editors in the JSON schema of recipes.
"""

import dataclasses
import enum
import functools
import types
import typing
from collections.abc import Collection, Iterator
from typing import Annotated, Any

import pydantic
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


def _language(name: str) -> str:
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
    return name


Language = Annotated[str, pydantic.AfterValidator(_language)]  # as in the column `language`

_CONFIG = pydantic.ConfigDict(strict=True, allow_inf_nan=False)
_TYPES = {
    "bool_type": "true or false",
    "int_type": "a whole number",
    "float_type": "a number",
    "finite_number": "a finite number",
    "string_type": "a string",
    "list_type": "a list",
    "dict_type": "a mapping",
    "none_required": "null",
}


@functools.cache
def adapter(hint: Any) -> pydantic.TypeAdapter[Any]:
    """What checks values of a type strictly: no number for a string, no truth value for a number, no NaN."""
    return pydantic.TypeAdapter(hint, config=_CONFIG)


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


def check_value(where: str, hint: Any, value: Any) -> None:
    """Check a value against a type with ranges.

    Raises:
        ValueError: saying where, what it must be, and what it is.
    """
    try:
        adapter(hint).validate_python(value)
    except pydantic.ValidationError as error:
        # Of a union, pydantic names the failure of each member; the deepest is the one that the user meant.
        deepest = max(len(failure["loc"]) for failure in error.errors())
        failures = [failure for failure in error.errors() if len(failure["loc"]) == deepest]
        failure = failures[0]
        path, inner = _resolve(hint, failure["loc"])
        must = _range(inner) if failure["type"].endswith(("_than", "_than_equal")) else None
        must = must or " or ".join(dict.fromkeys(_requirement(each) for each in failures))
        verb = "must" if must.startswith("have ") else "must be"
        raise ValueError(f"{where}{path} {verb} {must}, got {failure['input']!r}") from None


def _requirement(failure: Any) -> str:
    if failure["type"] == "literal_error":
        return f"one of {failure['ctx']['expected'].replace(' or ', ', ')}"
    if failure["type"] == "value_error":
        return str(failure["ctx"]["error"])
    if failure["type"] == "too_short":
        count = failure["ctx"]["min_length"]
        return f"have at least {count} item{'s' * (count > 1)}"
    if failure["type"] == "string_too_short":
        return "have at least 1 character"
    if failure["type"] == "too_long":
        return f"have at most {failure['ctx']['max_length']} items"
    return _TYPES.get(failure["type"]) or failure["msg"].removeprefix("Input should be ")


def _resolve(hint: Any, location: tuple[int | str, ...]) -> tuple[str, Any]:
    """The location of a failure as text, and the type that the value there should have."""
    path = ""
    for step in location:
        origin, arguments = typing.get_origin(hint), typing.get_args(hint)
        if origin is Annotated:
            hint = arguments[0]
            origin, arguments = typing.get_origin(hint), typing.get_args(hint)
        if origin in (typing.Union, types.UnionType):
            members = [each for each in arguments if each is not type(None)]
            if len(members) > 1:
                # The step names the member.
                hint = next((each for each in members if _name(each) in str(step)), members[0])
                continue
            hint = members[0]
            origin, arguments = typing.get_origin(hint), typing.get_args(hint)
        if step == "[key]":
            hint = arguments[0] if arguments else Any
            continue
        path += f".{step}" if isinstance(step, str) else f"[{step}]"
        hint = arguments[-1] if arguments else Any
    return path, hint


def _name(hint: Any) -> str:
    while typing.get_origin(hint) is Annotated:
        hint = typing.get_args(hint)[0]
    return getattr(hint, "__name__", str(hint))


def _range(hint: Any) -> str | None:
    """The bounds of a type in words."""
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        return next((found for each in typing.get_args(hint) if (found := _range(each))), None)
    if typing.get_origin(hint) is not Annotated:
        return None
    bounds = {type(bound): bound for bound in typing.get_args(hint)[1:]}
    if Ge in bounds and Le in bounds:
        return f"between {bounds[Ge].ge} and {bounds[Le].le}"
    words = {Ge: "at least", Gt: "above", Le: "at most", Lt: "below"}
    said = [f"{words[kind]} {getattr(bound, kind.__name__.lower())}" for kind, bound in bounds.items() if kind in words]
    return " and ".join(said) or None


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
