"""Words by plain Python and regular expressions: the oracle of every kernel that counts words."""

import unicodedata

import regex
import rjieba

# White space to str.isspace, but not to \s.
AS_SPACE = dict.fromkeys(range(0x1C, 0x20), "\t")


HAN = (
    r"[\u3005-\u3007\u3021-\u3029\u3041-\u3096\u309d-\u309f\u30a1-\u30fa\u30fc-\u30ff\u3105-\u312f\u31f0-\u31ff"
    r"\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\uff66-\uff9d\U00020000-\U000323af]"
)


def is_letter(character: str) -> bool:
    return unicodedata.category(character)[0] in "LN"


def split_words(text: str, kind: str) -> list[str]:
    if kind == "whitespace":
        return text.split()
    if kind == "rjieba":
        return [word for word in rjieba.cut(text) if any(map(is_letter, word))]
    word = r"[\p{L}\p{N}\p{M}_]"
    if kind == "characters":
        token = rf"{word}\p{{M}}*"
    else:
        apostrophe = rf"(?<=[\p{{L}}\p{{M}}])['’](?!{HAN})(?=\p{{L}})"
        point = r"(?<=\p{N})[,.](?=\p{N})"
        more = rf"(?:(?!{HAN})[\p{{L}}\p{{N}}\p{{M}}_\u200c\u200d\u00ad]|{apostrophe}|{point})"
        token = rf"(?={word}){HAN}\p{{M}}*|(?!{HAN}){word}{more}*"
    symbols = r"(?<!\S)(?:(?!\s)[^\p{L}\p{N}\p{M}_])+(?!\S)"
    return regex.findall(rf"{token}|{symbols}", text.translate(AS_SPACE), regex.V1)


def break_class(character: str) -> str:
    for name in ("ALetter", "Hebrew_Letter", "Numeric", "Katakana", "ExtendNumLet", "MidLetter", "MidNum", "MidNumLet"):
        if regex.match(rf"\p{{Word_Break={name}}}", character):
            return name
    if regex.match(r"\p{Word_Break=Extend}|\p{Word_Break=Format}|\p{Word_Break=ZWJ}", character):
        return "Extend"
    return {"'": "Single_Quote", '"': "Double_Quote"}.get(character, "Other")


def uax29_words(text: str) -> list[str]:
    """The words of UAX 29 that begin with a letter or digit, from its rules boundary by boundary."""
    clusters: list[tuple[str, str]] = []
    for character in text:
        kind = break_class(character)
        if kind == "Extend" and clusters and clusters[-1][1][0] not in "\n\r\x0b\x0c\x85\u2028\u2029":  # WB4
            clusters[-1] = (clusters[-1][0], clusters[-1][1] + character)
        else:
            clusters.append((kind, character))
    kinds = ["", *(kind for kind, _ in clusters), "", ""]
    letters, quotes = ("ALetter", "Hebrew_Letter"), ("MidNumLet", "Single_Quote")
    found: list[str] = []
    for i, (_, content) in enumerate(clusters):
        earlier, before, own, after = kinds[i - 1] if i else "", *kinds[i : i + 3]
        joined = (
            (before in letters and own in (*letters, "Numeric"))  # WB5, WB9
            or (before in letters and own in ("MidLetter", *quotes) and after in letters)  # WB6
            or (earlier in letters and before in ("MidLetter", *quotes) and own in letters)  # WB7
            or (before == "Hebrew_Letter" and own == "Single_Quote")  # WB7a
            or (before == after == "Hebrew_Letter" and own == "Double_Quote")  # WB7b
            or (earlier == own == "Hebrew_Letter" and before == "Double_Quote")  # WB7c
            or (before == "Numeric" and own in ("Numeric", *letters))  # WB8, WB10
            or (earlier == own == "Numeric" and before in ("MidNum", *quotes))  # WB11
            or (before == after == "Numeric" and own in ("MidNum", *quotes))  # WB12
            or (before == own == "Katakana")  # WB13
            or (before in (*letters, "Numeric", "Katakana", "ExtendNumLet") and own == "ExtendNumLet")  # WB13a
            or (before == "ExtendNumLet" and own in (*letters, "Numeric", "Katakana"))  # WB13b
        )
        if joined and found:
            found[-1] += content
        else:
            found.append(content)
    return [word for word in found if is_letter(word[0])]
