"""Templates of wikis that are part of the running text, and what they show there.

A dump has the names of templates and their parameters, not their definitions; to run those of a wiki takes the wiki.
The commonest that stand within sentences are rendered here; of all others nothing is shown.
"""

import re
from collections.abc import Callable, Mapping
from typing import NamedTuple

from datapipe.read.formats import wiki_words as words

# {{lang-de|Text}}; {{link-de|title here|title there}}, of which the first is shown.
_OF_LANGUAGE = re.compile(r"(?:lang|link)-[a-z]{2,3}(?:-\w+)*|internal link helper/[a-z-]+")
# {{laS|civis}}, as German wikis write a word of a language; {{1er}}: ordinals that are their own text.
_OF_LANGUAGE_SHORT = re.compile(r"[a-zA-Z][a-z]{1,2}S")
_ORDINAL = re.compile(
    r"(?:[IVXLC]+|\d+)(?:er|re|e|o)?(?: (?:siècle|millénaire))?(?: av\. J\.-C\.)?|до н\. ?э\.|н\. ?э\."
)
_ROMAN = re.compile(r"[IVXLC]+")
_SHIPS = frozenset("hms uss ss rms ms mv usns uscgc hmas hmcs hmnzs sms ins mts hmt ps rv".split())  # noqa: SIM905
_NUMBER = re.compile(r"[-+−±~≈<>]?[\d.,/ ]*\d[\d.,/e+-]*|[-+−]?\d+⁄\d+")
_JOINERS = {
    "to": " to ",
    "-": "–",
    "–": "–",
    "and": " and ",
    "or": " or ",
    "x": " × ",
    "×": " × ",
    "by": " by ",
    "+/-": " ± ",
    "±": " ± ",
    "to(-)": " to ",
    "and(-)": " and ",
    "xx": " × ",
}
_UNITS = {
    "km2": "km²",
    "m2": "m²",
    "cm2": "cm²",
    "mm2": "mm²",
    "sqmi": "sq mi",
    "sqft": "sq ft",
    "sqkm": "km²",
    "m3": "m³",
    "km3": "km³",
    "cm3": "cm³",
    "cuft": "cu ft",
    "C": "°C",
    "F": "°F",
    "C-change": "°C",
    "F-change": "°F",
    "km/h": "km/h",
    "mph": "mph",
    "ftin": "ft",
    "/km2": "per km²",
    "/sqmi": "per sq mi",
    "PD/km2": "per km²",
    "PD/sqmi": "per sq mi",
    "m3/s": "m³/s",
    "cuft/s": "cu ft/s",
    "cuyd": "cu yd",
    "u2": "u²",
    "kg/m3": "kg/m³",
    "uspint": "US pints",
    "usgal": "US gal",
    "impgal": "imp gal",
}
_MONTHS = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
]
_MONEY = {
    "usd": "US$",
    "us$": "US$",
    "$": "$",
    "a$": "A$",
    "aud": "A$",
    "c$": "C$",
    "cad": "C$",
    "gbp": "£",
    "£": "£",
    "pound sterling": "£",
    "eur": "€",
    "€": "€",
    "euro": "€",
    "inr": "₹",
    "indian rupee": "₹",
    "jpy": "¥",
    "¥": "¥",
    "cny": "CN¥",
    "krw": "₩",
    "chf": "CHF ",
    "hk$": "HK$",
    "nz$": "NZ$",
    "rub": "₽",
}


class _Given(NamedTuple):
    """Parameters of a template: in order, one at least, and by name in lower case."""

    values: list[str]
    named: dict[str, str]


_Renderer = Callable[[_Given], str]


def _parameters(rest: str) -> _Given:
    """Values in order, and by name; `1=…` is the first."""
    values: list[str] = []
    named: dict[str, str] = {}
    for parameter in rest.split("|"):
        name, equals, value = parameter.partition("=")
        key = name.strip()
        if equals and (re.fullmatch(r"[\w -]{1,30}", key)):
            named[key.lower()] = value.strip()
        else:
            values.append(parameter.strip())
    if "1" in named or "2" in named:
        numbered = dict(enumerate(values, 1)) | {int(k): v for k, v in named.items() if k.isdecimal() and int(k) < 100}
        values = [numbered.get(place, "") for place in range(1, max(numbered, default=0) + 1)]
    return _Given(values or [""], named)


def template_text(content: str, title: str) -> str:
    """What a template shows: nothing, unless it is known to be part of the running text."""
    head, _, rest = content.partition("|")
    name = " ".join(head.replace("_", " ").split()).lower()
    if name in words.CHARACTERS and not (rest and name == '"'):
        return words.CHARACTERS[name]
    if not rest:
        if _ORDINAL.fullmatch(head.strip()):
            return head.strip()
        magic, colon, argument = head.strip().partition(":")
        if colon and magic.lower() in ("formatnum", "lc", "uc", "lcfirst", "ucfirst", "nowrap"):
            return _CASES[magic.lower()](argument.strip())
        return title if name in ("pagename", "fullpagename", "subpagename", "basepagename") else ""
    if ":" in name and name.partition(":")[0] in ("formatnum", "plural", "grammar", "gender"):
        return ""
    given = _parameters(rest)
    values, named = given
    renderer = _RENDERERS.get(name)
    if renderer:
        return renderer(given)
    if name in words.FIRST:
        return values[0] or named.get("text", named.get("quote", named.get("content", "")))
    if name in words.SECOND or name.startswith("script/"):
        if name.startswith("script/"):
            return values[0]
        return values[1] if len(values) > 1 else named.get("text", "")
    if name in words.LAST:
        return values[-1]
    if name in words.ALL:
        return "\n" + "\n".join(v if v.startswith("*") else f"* {v}" for v in values if v.strip()) + "\n"
    if name in _SHIPS:
        return f"{head.strip()} {values[0]}" + (f" ({values[1]})" if len(values) > 1 and values[1] else "")
    if _OF_LANGUAGE_SHORT.fullmatch(head.strip()):
        return values[0]
    if _OF_LANGUAGE.fullmatch(name):
        return named.get("lt", "") or values[0] or named.get("text", "")
    return ""


def _number(value: str) -> str:
    sign = "-" if value.startswith(("-", "−")) else ""
    digits, dot, fraction = value.lstrip("-−").partition(".")
    return (
        f"{sign}{int(digits):,}{dot}{fraction}" if digits.isascii() and digits.isdigit() and len(digits) < 40 else value
    )


_CASES: Mapping[str, Callable[[str], str]] = {
    "formatnum": _number,
    "lc": str.lower,
    "uc": str.upper,
    "lcfirst": lambda text: text[:1].lower() + text[1:],
    "ucfirst": lambda text: text[:1].upper() + text[1:],
    "nowrap": str,
}


def _convert(given: _Given) -> str:
    """`{{convert|10|to|20|km|mi}}` is 10 to 20 km: as measured, without what it comes to in other units."""
    shown: list[str] = []
    for at, value in enumerate(given.values):
        if at % 2 == 0 and _NUMBER.fullmatch(value):
            shown.append(_number(value.replace(",", "")))
        elif at % 2 and value in _JOINERS and at + 1 < len(given.values) and _NUMBER.fullmatch(given.values[at + 1]):
            shown.append(_JOINERS[value])
        else:
            if (
                value in ("ft", "st", "lb", "mi", "yd")
                and at + 1 < len(given.values)
                and _NUMBER.fullmatch(given.values[at + 1])
            ):
                # 5 ft 3 in
                second = given.values[at + 2] if at + 2 < len(given.values) else ""
                return f"{''.join(shown)} {value} {given.values[at + 1]} {second}".strip()
            unit = _UNITS.get(value, value)
            return (
                f"{''.join(shown)} {unit}" if shown and not unit.startswith("°") else f"{''.join(shown)} {unit}".strip()
            )
    return "".join(shown)


def _fraction(given: _Given) -> str:
    if len(given.values) == 1:
        return f"1/{given.values[0]}"
    return (
        f"{given.values[0]}/{given.values[1]}"
        if len(given.values) == 2
        else f"{given.values[0]} {given.values[1]}/{given.values[2]}"
    )


def _value(given: _Given) -> str:
    unit = given.named.get("u", given.named.get("ul", ""))
    exponent = f"×10^{given.named['e']}" if given.named.get("e") else ""
    error = f" ± {given.values[1]}" if len(given.values) > 1 and _NUMBER.fullmatch(given.values[1]) else ""
    return f"{_number(given.values[0])}{error}{exponent}{' ' if unit else ''}{unit}"


def _as_of(given: _Given) -> str:
    begin = given.named.get("alt") or ("as of" if given.named.get("lc") else "As of")
    return given.named["alt"] if given.named.get("alt") else f"{begin} {_date(given)}"


def _date(given: _Given) -> str:
    """Year, month, day as one reads them."""
    year, *rest = given.values
    if len(rest) == 2 and rest[1].isdecimal() and year.isdecimal() and int(year) <= 31 < int(rest[1]):
        return " ".join(given.values)  # as French wikis have it: day, month, year
    month = int(rest[0]) if rest and rest[0].isdecimal() and 1 <= int(rest[0]) <= 12 else 0
    if not month:
        return " ".join([*reversed(rest), year]).strip() if rest and all(rest) else year
    day = f"{rest[1]} " if len(rest) > 1 and rest[1].isdecimal() else ""
    return f"{day}{_MONTHS[month - 1]} {year}"


def _nihongo(given: _Given) -> str:
    english, *rest = given.values
    beside = ", ".join(value for value in rest[:2] if value)
    return f"{english} ({beside})" if english and beside else english or beside


def _chinese(given: _Given) -> str:
    forms = [given.named[key] for key in ("c", "s", "t", "p", "w", "j") if given.named.get(key)] or [
        v for v in given.values if v
    ]
    return ", ".join(dict.fromkeys(forms))


def _ruby(given: _Given) -> str:
    return f"{given.values[0]}（{given.values[1]}）" if len(given.values) > 1 and given.values[1] else given.values[0]


def _century(given: _Given) -> str:
    """`{{s|XX}}` of French wikis, {{s|12 июня}} of Russian ones."""
    return f"{given.values[0]}e siècle" if _ROMAN.fullmatch(given.values[0]) else given.values[0]


def _lived(given: _Given) -> str:
    """{{bd|701年||762年}} of Chinese wikis: year and day of birth, year and day of death."""
    born, born_on, died, died_on = (*given.values, "", "", "", "")[:4]
    return f"{born}{born_on}－{died}{died_on}"


def _author(given: _Given) -> str:
    """{{harvtxt|Smith|Jones|2000}}: authors, who are part of the sentence, and the year."""
    *authors, year = given.values
    return f"{' & '.join(authors)} ({year})" if authors else year


def _sized(given: _Given) -> str:
    return given.values[1] if len(given.values) > 1 else given.values[0]


def _translated(given: _Given) -> str:
    """{{нп5|title elsewhere|text here|en|title there}}, of which the second is shown if there is one."""
    return given.values[1] if len(given.values) > 1 and given.values[1] else given.values[0]


def _measured(given: _Given) -> str:
    return " ".join([_number(given.values[0]), *given.values[1:2]])


def _circa(given: _Given) -> str:
    return "c. " + " – c. ".join(value for value in given.values if value)


def _of_century(name: str) -> _Renderer:
    return lambda given: f"{name} {given.values[0]}"


def _money(sign: str) -> _Renderer:
    return lambda given: sign + _number(given.values[0])


def _same_elsewhere(place: int) -> _Renderer:
    return lambda given: (
        given.named.get("lt", "") or (given.values[place] if len(given.values) > place else given.values[0])
    )


_RENDERERS: dict[str, _Renderer] = {
    "convert": _convert, "cvt": _convert, "convinfobox": _convert,
    "frac": _fraction, "fraction": _fraction, "sfrac": _fraction, "val": _value, "as of": _as_of,
    **dict.fromkeys(("birth date and age", "death date and age"), lambda given: _date(_Given(given.values[:3], {}))),
    **dict.fromkeys(("нп", "нп1", "нп2", "нп3", "нп4", "нп5", "не переведено", "не переведено 2", "не переведено 3",
                     "не переведено 4", "не переведено 5"), _translated),
    **dict.fromkeys(("unité", "nombre", "nb", "число", "zahl", "unitat", "unidad"), _measured),
    **{name: _of_century(name) for name in ("siglo", "segle", "século", "secolo")},
    "s": _century, "s-": lambda given: f"{''.join(given.values[:2])} siècle", "bd": _lived, "harvtxt": _author,
    '"': lambda given: given.values[0],
    "resize": _sized, "bruch": _fraction, "ship": lambda given: " ".join(given.values[:2]),
    "sclass": lambda given: f"{given.values[0]}-class {given.values[1] if len(given.values) > 1 else ''}".strip(),
    "chem": lambda given: "".join(given.values), "linktext": lambda given: "".join(given.values),
    "oldstyledate": lambda given: " ".join(given.values[:2]),
    "要出典": lambda given: given.named.get("範囲", ""), "n°": lambda given: f"no {given.values[0]}",
    "circa": _circa, "c.": _circa, "ca": _circa, "ca.": _circa,
    "date": _date, "start date": _date, "end date": _date, "dts": _date, "birth date": _date, "death date": _date,
    "nihongo": _nihongo, "nihongo2": lambda given: given.values[0], "nihongo3": _nihongo,
    "zh": _chinese, "korean": _chinese, "lang-zh": _chinese,
    "ruby": _ruby, "ruby-ja": _ruby, "読み仮名": _ruby, "ルビ": _ruby, "読み仮名 ruby不使用": _ruby, "fs": _ruby,
    "formatnum": lambda given: _number(given.values[0]),
    "sortname": lambda given: " ".join(given.values[:2]),
    "tsl": _same_elsewhere(2), "link-wd": _same_elsewhere(0),
    "nft": lambda given: given.values[0],
    "lang-sr-cyrl-latn": lambda given: " / ".join(given.values[:2]), "lang-sr": lambda given: given.values[0],
} | {name: _money(sign) for name, sign in _MONEY.items()}  # fmt: skip
