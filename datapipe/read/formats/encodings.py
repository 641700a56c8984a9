"""Bytes to text, in the encodings that people really use, by the names that they give them.

A name means what browsers take it for (https://encoding.spec.whatwg.org/#names-and-labels): GB2312 is GB18030, Latin-1
is Windows-1252, Shift_JIS is that of Windows. UTF-8 is believed before any name, since text of another encoding hardly
ever happens to be valid UTF-8. Where nothing is declared, or what is declared gives no text, decoded text is judged by
how much of it are common characters and well-formed words: that a codec raises nothing says little.
"""

import codecs
import functools
import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

# Damage, unlike another encoding, touches few characters.
MAX_REPLACED_SHARE = 0.01
MAX_PROLOGUE_BYTES = 1 << 17  # of a page, in which its encoding must be declared
SAMPLE_BYTES = 1 << 16  # by which candidates are compared
# Text has about half of its characters in the list of its language, or nine words of ten with small letters only; in
# another encoding less than a twentieth.
PLAUSIBLE, IMPLAUSIBLE = 0.3, 0.1
MIN_JUDGED_CHARACTERS = 12

# Python's codecs, or one of _DECODERS, and their names on the web.
_NAMES = {
    "utf-8": "unicode-1-1-utf-8 unicode11utf8 unicode20utf8 utf-8 utf8 x-unicode20utf8",
    "utf-16-be": "unicodefffe utf-16be",
    "utf-16-le": "csunicode iso-10646-ucs-2 ucs-2 unicode unicodefeff utf-16 utf-16le",
    "gb18030": """chinese csgb2312 csiso58gb231280 gb18030 gb2312 gb_2312 gb_2312-80 gbk iso-ir-58 x-gbk""",
    "big5": "big5 big5-hkscs cn-big5 csbig5 x-x-big5",
    "euc-jp": "cseucpkdfmtjapanese euc-jp x-euc-jp",
    "iso-2022-jp": "csiso2022jp iso-2022-jp",
    "cp932": "csshiftjis ms932 ms_kanji shift-jis shift_jis sjis windows-31j x-sjis",
    "cp949": """cseuckr csksc56011987 euc-kr iso-ir-149 korean ks_c_5601-1987 ks_c_5601-1989 ksc5601 ksc_5601
        windows-949""",
    "cp1252": """ansi_x3.4-1968 ascii cp1252 cp819 csisolatin1 ibm819 iso-8859-1 iso-ir-100 iso8859-1 iso88591
        iso_8859-1 iso_8859-1:1987 l1 latin1 us-ascii windows-1252 x-cp1252""",
    "cp1250": "cp1250 windows-1250 x-cp1250",
    "cp1251": "cp1251 windows-1251 x-cp1251",
    "cp1253": "cp1253 windows-1253 x-cp1253",
    "cp1254": """cp1254 csisolatin5 iso-8859-9 iso-ir-148 iso8859-9 iso88599 iso_8859-9 iso_8859-9:1989 l5 latin5
        windows-1254 x-cp1254""",
    "cp1255": "cp1255 windows-1255 x-cp1255",
    "cp1256": "cp1256 windows-1256 x-cp1256",
    "cp1257": "cp1257 windows-1257 x-cp1257",
    "cp1258": "cp1258 windows-1258 x-cp1258",
    "cp866": "866 cp866 csibm866 ibm866",
    "cp874": "dos-874 iso-8859-11 iso8859-11 iso885911 tis-620 windows-874",
    "koi8-r": "cskoi8r koi koi8 koi8-r koi8_r",
    "koi8-u": "koi8-ru koi8-u",
    "mac-roman": "csmacintosh mac macintosh x-mac-roman",
    "mac-cyrillic": "x-mac-cyrillic x-mac-ukrainian",
    "iso8859-2": "csisolatin2 iso-8859-2 iso-ir-101 iso8859-2 iso88592 iso_8859-2 iso_8859-2:1987 l2 latin2",
    "iso8859-3": "csisolatin3 iso-8859-3 iso-ir-109 iso8859-3 iso88593 iso_8859-3 iso_8859-3:1988 l3 latin3",
    "iso8859-4": "csisolatin4 iso-8859-4 iso-ir-110 iso8859-4 iso88594 iso_8859-4 iso_8859-4:1988 l4 latin4",
    "iso8859-5": """csisolatincyrillic cyrillic iso-8859-5 iso-ir-144 iso8859-5 iso88595 iso_8859-5
        iso_8859-5:1988""",
    "iso8859-6": """arabic asmo-708 csiso88596e csiso88596i csisolatinarabic ecma-114 iso-8859-6 iso-8859-6-e
        iso-8859-6-i iso-ir-127 iso8859-6 iso88596 iso_8859-6 iso_8859-6:1987""",
    "iso8859-7": """csisolatingreek ecma-118 elot_928 greek greek8 iso-8859-7 iso-ir-126 iso8859-7 iso88597
        iso_8859-7 iso_8859-7:1987 sun_eu_greek""",
    "iso8859-8": """csiso88598e csiso88598i csisolatinhebrew hebrew iso-8859-8 iso-8859-8-e iso-8859-8-i iso-ir-138
        iso8859-8 iso88598 iso_8859-8 iso_8859-8:1988 logical visual""",
    "iso8859-10": "csisolatin6 iso-8859-10 iso-ir-157 iso8859-10 iso885910 l6 latin6",
    "iso8859-13": "iso-8859-13 iso8859-13 iso885913",
    "iso8859-14": "iso-8859-14 iso8859-14 iso885914",
    "iso8859-15": "csisolatin9 iso-8859-15 iso8859-15 iso885915 iso_8859-15 l9",
    "iso8859-16": "iso-8859-16",
}
# Where an ISO encoding has controls, the one of Windows that people take for the same has quotes, dashes and letters.
_OF_WINDOWS = {
    "iso8859-2": "cp1250",
    "iso8859-4": "cp1257",
    "iso8859-5": "cp1251",
    "iso8859-6": "cp1256",
    "iso8859-7": "cp1253",
    "iso8859-8": "cp1255",
    "iso8859-13": "cp1257",
    "iso8859-15": "cp1252",
}
_CONTROLS = re.compile(rb"[\x80-\x9f]")
_CODECS = {label: codec for codec, labels in _NAMES.items() for label in labels.split()}
# Names of encodings that are not read, and what shows that a page really is in one: it would be taken for ASCII.
_UNREAD = {
    "hz-gb-2312": re.compile(rb"~\{[!-~]+"),
    "iso-2022-cn": re.compile(rb"\x1b\$"),
    "iso-2022-kr": re.compile(rb"\x1b\$"),
    "utf-7": re.compile(rb"\+[A-Za-z0-9/]{2,}-"),
}

_JAPANESE_ESCAPE = re.compile(rb"\x1b(?:\$[@B]|\([BIJ])")
_NON_ASCII = re.compile("[^\0-\x7f]")

# What can declare an encoding, and what can hold what looks like that. Each piece ends somewhere, at the latest with
# the page: to look for an end in vain takes quadratic time.
_PROLOGUE = re.compile(
    rb"<!--.*?(?:-->|\Z)|<(script|style)\b.*?(?:</\1|\Z)|<meta\b([^<>]{,1000})", re.IGNORECASE | re.DOTALL
)
_ATTRIBUTE = re.compile(rb"""([a-z-]+)\s*=\s*("[^"]*"|'[^']*'|[^\s"'>]+)""", re.IGNORECASE)
_CHARSET = re.compile(rb"charset\s*=\s*[\"']?\s*([^\s\"';,]+)", re.IGNORECASE)
_XML_ENCODING = re.compile(rb"\s*<\?xml[^>]*\bencoding\s*=\s*[\"']([^\"']+)", re.IGNORECASE)
_MARKUP = re.compile(rb"<!--.*?(?:-->|\Z)|<(script|style)\b.*?(?:</\1|\Z)|<[^>]*(?:>|\Z)", re.IGNORECASE | re.DOTALL)

# The 150 most frequent characters are half of Chinese text, the 60 most frequent syllables of Korean.
_CHINESE = frozenset(
    "的一用在是了个有以和你中为可这不我行对件要能使文发于上分它来系下们时方到本如性作大会开程法进统理成数人过面出多其并器地应安动果将化提现"
    "度新生最工种定些与后通结制基装同学所体合者年建间而及他命机式国更之内实自经或加量也计重目因需关但令设得表高主就运源版管务包置前相特具然模解"
    "明入户何从型存全据代点组该接個為這對發於來們時開進統過並應將現種與後結裝學體間機國實經計關設運務戶從據點組"
)
_KOREAN = frozenset(
    "이다는에의을가고지로하한대서은를사기도인정시자수부리으해있전주원어라들일제만했아나스국장과상보적선회경게문것공년위조그관"
)
_JAPANESE = frozenset(map(chr, (*range(0x3041, 0x3097), *range(0x30A1, 0x30FB)))) | frozenset("人日本一大出上年中会")
_COMMON = {"gb18030": _CHINESE, "big5": _CHINESE, "cp949": _KOREAN, "cp932": _JAPANESE, "euc-jp": _JAPANESE}
_PUNCTUATION = re.compile(
    "[\xa0\xa7\xa9\xab\xad\xae\xb0\xb7\xbb\u2000-\u206f\u20ac\u2122\u3000-\u303f\u30fb\u30fc\uff00-\uff65]+"
)
_WORDS = re.compile(r"[^\W\d_ªµº]+")
_LATIN = re.compile("[\xc0-\u024f]")
# What text of one encoding is full of when read in another: controls, signs, boxes, private use.
_MOJIBAKE = re.compile("[\x80-\xbf\xd7\xf7\u02c6\u02dc\u2500-\u259f\ue000-\uf8ff\ufffd]")

# UTF-32 first: its little-endian mark begins with that of UTF-16.
_BYTE_ORDER_MARKS = {
    codecs.BOM_UTF32_LE: "utf-32-le",
    codecs.BOM_UTF32_BE: "utf-32-be",
    codecs.BOM_UTF16_LE: "utf-16-le",
    codecs.BOM_UTF16_BE: "utf-16-be",
}
HEAD_BYTES = 512  # that tell whether text is UTF-16
MIN_ALTERNATING_NULS = 8


def wide_encoding(head: bytes) -> str | None:
    """UTF-16 or UTF-32, if a byte order mark says so, or if every other byte is NUL as in Latin letters and mark-up.

    Some characters end in NUL on the other side, such as the commonest of Chinese, U+4E00.
    """
    for mark, name in _BYTE_ORDER_MARKS.items():
        if head.startswith(mark):
            return name
    head = head[:HEAD_BYTES]
    nuls = head[::2].count(0), head[1::2].count(0)
    if max(nuls) < MIN_ALTERNATING_NULS or 8 * min(nuls) > max(nuls) or 4 * max(nuls) < len(head):
        return None
    return "utf-16-be" if nuls[0] > nuls[1] else "utf-16-le"


def decode_page(page: bytes, charset: str = "") -> str:
    """The text of an HTML page.

    Args:
        page: its bytes.
        charset: the encoding that an HTTP header declares.

    Raises:
        UnicodeError: if it is no text in UTF-8, in what it declares or in what it looks like.

    >>> decode_page("<meta charset=gb2312><p>朱镕基".encode("gbk"))
    '<meta charset=gb2312><p>朱镕基'
    """
    wide = wide_encoding(page)
    if wide:
        return page.decode(wide, "replace").removeprefix("\ufeff")
    page = page.removeprefix(codecs.BOM_UTF8)
    if page.isascii():
        return _of_seven_bits(page, charset)
    try:
        return page.decode()
    except UnicodeDecodeError:
        html = page.decode(errors="replace")
    # A page that is cut off ends in half a character.
    if html.removesuffix("\ufffd").count("\ufffd") <= MAX_REPLACED_SHARE * len(_NON_ASCII.findall(html)):
        return html
    names = [*filter(None, (charset.lower(),)), *_declared(page)]
    if len(names) > 1 and _CODECS.get(names[0]) == "cp1252":
        names.append(names.pop(0))  # what servers declare that know nothing of the page
    codec = _codec_of(page, [_CODECS[name] for name in names if _CODECS.get(name, "utf-8") != "utf-8"])
    if codec is None:
        raise UnicodeError("no text in " + " nor in ".join(dict.fromkeys(("utf-8", *names))))
    return html if codec == "utf-8" else decode_as(codec, page)


def decode_text(raw: bytes, encodings: Sequence[str] = (), charset: str = "") -> str:
    """Text in UTF-8, in the encoding that is declared, or in that of some others in which it makes most sense.

    Args:
        raw: its bytes.
        encodings: names of Python's codecs.
        charset: the encoding that an HTTP header declares.

    Raises:
        UnicodeDecodeError: if it is text in none of them.
    """
    try:
        return _japanese_of_seven_bits(raw) or raw.decode()
    except UnicodeDecodeError as error:
        declared = _CODECS.get(charset.lower(), "utf-8")
        if declared != "utf-8" and _judge(raw[:SAMPLE_BYTES], declared).sound:
            return decode_as(declared, raw)
        texts: dict[float, str] = {}
        for encoding in encodings:
            try:
                text = raw.decode(encoding)
            except UnicodeError:  # not all codecs raise UnicodeDecodeError
                continue
            texts.setdefault(_plausibility(text, _CODECS.get(encoding.lower().replace("_", "-"), encoding)), text)
        most = max(texts, default=0.0)
        # Who names one encoding knows that it is that.
        if most > IMPLAUSIBLE or (texts and len(encodings) == 1):
            return texts[most]
        raise error


def likely_encoding(raw: bytes) -> str | None:
    """The Python codec of text that is no UTF-8, as a guess; None where nothing looks like text.

    >>> likely_encoding("这是一个关于城市公园的故事，春天里盛开的花朵".encode("gb18030"))
    'gb18030'
    """
    codec = _codec_of(raw, ())
    return None if codec == "utf-8" else codec


def repair(text: str) -> str:
    """A text with what was decoded by the wrong encoding mended, and "?" for lone surrogates."""
    import ftfy  # here: its tables take as long to import as a hundred documents to read

    return ftfy.fix_encoding(text).encode(errors="replace").decode()


def decode_as(codec: str, raw: bytes) -> str:
    """Text in one of the encodings of _NAMES, as browsers read it; U+FFFD for what is none."""
    if codec == "iso-2022-jp":
        return _decode_iso_2022_jp(raw)
    mended = {"gb18030": "gb18030", "big5": "big5hkscs", "euc-jp": "euc-jp"}.get(codec)
    return raw.decode(mended, _mending(codec)) if mended else raw.decode(codec, "replace")


@functools.cache
def _mending(codec: str) -> str:
    """The name of an error handler for characters that browsers know in an encoding and Python's codec does not."""

    def mend(error: UnicodeError) -> tuple[str, int]:
        assert isinstance(error, UnicodeDecodeError)
        at = error.start
        pair = error.object[at : at + 2]
        try:
            if codec == "gb18030" and pair[0] == 0x80:
                return "€", at + 1
            if codec == "big5" and len(pair) == 2:
                return pair.decode("cp950"), at + 2
            if codec == "euc-jp" and len(pair) == 2 and min(pair) > 0xA0 and max(pair) < 0xFF:
                return _shift_jis(pair).decode("cp932"), at + 2
        except UnicodeDecodeError:
            pass
        return "\ufffd", at + 1

    name = f"datapipe.{codec}"
    codecs.register_error(name, mend)
    return name


def _shift_jis(pair: bytes) -> bytes:
    """A character of EUC-JP in Shift_JIS, whose rows are two of EUC's: characters of Windows are in the same places."""
    row, cell = pair[0] - 0xA1, pair[1] - 0xA1
    lead = (row >> 1) + (0x81 if row < 62 else 0xC1)
    trail = cell + (0x9F if row & 1 else 0x40 + (cell >= 0x3F))
    return bytes((lead, trail))


def _of_seven_bits(page: bytes, charset: str) -> str:
    declared = page[:MAX_PROLOGUE_BYTES].lower()
    for name, escape in _UNREAD.items():
        if (name == charset.lower() or name.encode() in declared) and escape.search(page):
            names = [charset.lower(), *_declared(page)]
            if any(each.startswith(name) for each in names):
                raise UnicodeError(f"{name} is not read")
    return _japanese_of_seven_bits(page) or page.decode()


def _japanese_of_seven_bits(raw: bytes) -> str | None:
    """Text in ISO-2022-JP, which would be read as ASCII."""
    if b"\x1b" not in raw or not _JAPANESE_ESCAPE.search(raw) or not raw.isascii():
        return None
    text = _decode_iso_2022_jp(raw)
    return None if "\ufffd" in text or "\x1b" in text else text


_EIGHT_BITS = bytes(byte | 0x80 if 0x20 < byte < 0x7F else byte for byte in range(256))


def _decode_iso_2022_jp(raw: bytes) -> str:
    """By way of EUC-JP: Python's codec does not know the characters of Windows."""
    text, escape = [], b"\x1b(B"
    for piece in re.split(rb"(\x1b(?:\$[@B]|\([BIJ]))", raw):
        if _JAPANESE_ESCAPE.fullmatch(piece):
            escape = piece
        elif escape.startswith(b"\x1b$"):
            text.append(decode_as("euc-jp", piece.translate(_EIGHT_BITS)))
        else:
            text.append(decode_as("cp932", piece.translate(_EIGHT_BITS) if escape == b"\x1b(I" else piece))
    return "".join(text)


def _declared(page: bytes) -> Iterator[str]:
    """The encodings that a page declares, in lower case."""
    prologue = page[:MAX_PROLOGUE_BYTES]
    xml = _XML_ENCODING.match(prologue)
    if xml:
        yield xml.group(1).decode("ascii", "replace").lower()
    for meta in _PROLOGUE.finditer(prologue):
        attributes = {name.lower(): value.strip(b"\"'") for name, value in _ATTRIBUTE.findall(meta.group(2) or b"")}
        charset = attributes.get(b"charset")
        if attributes.get(b"http-equiv", b"").lower() == b"content-type":
            content = _CHARSET.search(attributes.get(b"content", b""))
            charset = charset or (content and content.group(1))
        if charset:
            yield charset.decode("ascii", "replace").strip().lower()


class _Judgement(NamedTuple):
    """Of bytes as text in some encoding.

    Attributes:
        plausibility: from 0 to 1.
        sound: whether next to nothing of it is damaged.
    """

    plausibility: float
    sound: bool


def _codec_of(page: bytes, declared: Sequence[str]) -> str | None:
    """What a page that is not UTF-8, or not quite, is encoded in: as declared, unless that makes no sense at all."""
    visible = _MARKUP.sub(b" ", page)[:SAMPLE_BYTES]
    if _CONTROLS.search(visible):
        declared = [*filter(None, map(_OF_WINDOWS.get, declared)), *declared]
    judged = {codec: judgement for codec in declared if (judgement := _judge(visible, codec)).sound}
    for codec, judgement in judged.items():
        if judgement.plausibility > IMPLAUSIBLE:
            return codec
    from resiliparse.parse.encoding import detect_encoding  # here: few files need it

    # Resiliparse tells encodings of one byte a character by the letters and their neighbours; it knows no Korean, and
    # not always Thai.
    guesses = [_CODECS.get(guess.lower(), guess) for sample in (page, visible) if (guess := detect_encoding(sample))]
    for codecs_ in ((*guesses, *_COMMON), ("cp874",)):
        guessed = {codec: judgement for codec in codecs_ if (judgement := _judge(visible, codec)).sound}
        best = max(guessed, key=lambda codec: guessed[codec].plausibility, default=None)
        if best and guessed[best].plausibility >= PLAUSIBLE:
            return best
    if judged:
        return next(iter(judged))
    return "utf-8" if _judge(visible, "utf-8").sound else None


def _judge(sample: bytes, codec: str) -> _Judgement:
    text = decode_as(codec, sample)
    return _Judgement(_plausibility(text, codec), text.count("\ufffd") <= max(1, MAX_REPLACED_SHARE * len(text)))


def _plausibility(text: str, codec: str) -> float:
    """How much decoded text looks like text: by its common characters in East Asia, by its words elsewhere."""
    text = _PUNCTUATION.sub(" ", text[:SAMPLE_BYTES])
    judged = len(_NON_ASCII.findall(text))
    if codec in _COMMON:
        likely = 2 * sum(character in _COMMON[codec] for character in text)
    else:
        words = [word for word in _WORDS.findall(text) if not word.isascii()]
        likely = sum(map(_non_ascii, filter(_is_word, words)))
        judged = sum(map(_non_ascii, words)) + len(_MOJIBAKE.findall(text))
    if not judged or (judged < MIN_JUDGED_CHARACTERS and likely < judged):
        return (PLAUSIBLE + IMPLAUSIBLE) / 2  # who knows
    return min(1.0, likely / judged)


def _is_word(letters: str) -> bool:
    """Whether small letters follow a large or a small one, all of one script, few of a Latin word beyond ASCII."""
    others, accented = _non_ascii(letters), len(_LATIN.findall(letters))
    one_script = accented == others if others < len(letters) or accented else True
    cased_as_usual = letters[1:].islower() or letters.upper() == letters.lower()
    return one_script and cased_as_usual and (accented <= 2 or 2 * accented <= len(letters))


def _non_ascii(text: str) -> int:
    return len(_NON_ASCII.findall(text))
