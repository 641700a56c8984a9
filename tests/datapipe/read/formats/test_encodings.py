"""Encodings by the names that people give them, by none, and by a wrong one."""

import contextlib

import pytest

from datapipe.read.formats.encodings import _CODECS, decode_as, decode_page, decode_text, wide_encoding

KOREAN = "바람이 불면 언덕 위의 나무가 흔들리고 아이들은 집으로 돌아갑니다. 저녁에는 모두 함께 밥을 먹습니다."
CHINESE = "这座小城的人们在春天的早上到河边去，他们说这里的水很清，可以看到鱼。"
TRADITIONAL = "這座小城的人們在春天的早上到河邊去，他們說這裡的水很清，可以看到魚。"
JAPANESE = "この町の人たちは春の朝に川へ行って、水がとてもきれいだと言っています。"
RUSSIAN = "Весной жители этого города ходят утром к реке и смотрят на рыбу в чистой воде."
FRENCH = "Au début de l’été, les élèves préfèrent rêver près du fleuve où l’eau est très fraîche."
THAI = "ในตอนเช้าชาวเมืองไปที่แม่น้ำและดูปลาในน้ำใส"


def page(text: str, head: str = "") -> str:
    return f"<html><head>{head}<title>x</title></head><body><p>{text}</p></body></html>"


def declared(text: str, name: str) -> str:
    return page(text, f'<meta charset="{name}">')


@pytest.mark.parametrize(
    ("name", "text", "raw"),
    [
        ("shift_jis", "①㈱髙Ⅲ", "①㈱髙Ⅲ".encode("cp932")),
        ("x-sjis", "①", b"\x87\x40"),
        ("euc-kr", "똠방각하 펲 햏", "똠방각하 펲 햏".encode("cp949")),
        ("ks_c_5601-1987", "똠", "똠".encode("cp949")),
        ("gb2312", "价格€十元", b"\xbc\xdb\xb8\xf1\x80\xca\xae\xd4\xaa"),
        ("gbk", "㐀𠀀ḿ朱镕基", "㐀𠀀ḿ朱镕基".encode("gb18030")),
        ("big5", "佢哋喺度食嘢", "佢哋喺度食嘢".encode("big5hkscs")),
        ("big5", "€碁裏恒粧", b"\xa3\xe1\xf9\xd6\xf9\xd8\xf9\xda\xf9\xdb"),
        ("euc-jp", "①㈱髙日本", b"\xad\xa1\xad\xea\xfc\xe2\xc6\xfc\xcb\xdc"),
        ("iso-8859-1", "“It’s” — €", b"\x93It\x92s\x94 \x97 \x80"),
        ("tis-620", "“ดี”", b"\x93\xb4\xd5\x94"),
        ("iso-8859-9", "ışık", "ışık".encode("cp1254")),
        ("iso-8859-15", "cœur 5 €", "cœur 5 €".encode("iso8859-15")),
        ("iso-8859-2", "žluťoučký", "žluťoučký".encode("iso8859-2")),
        ("x-mac-cyrillic", "Старая", "Старая".encode("mac-cyrillic")),
        ("KOI8-R", "Старая", "Старая".encode("koi8-r")),
    ],
)
def test_names_mean_what_browsers_take_them_for(name: str, text: str, raw: bytes) -> None:
    assert decode_as(_CODECS[name.lower()], raw) == text
    before, after = declared("|", name).encode("ascii").split(b"|")
    assert decode_page(before + raw + after) == declared(text, name)
    assert decode_page(page("|").encode().replace(b"|", raw), charset=name) == page(text)


def test_what_is_in_no_table_is_replaced() -> None:
    assert decode_as("big5", b"\xa4\xa4\xff\xa4\xe5\xa4") == "中\ufffd文\ufffd"
    assert decode_as("gb18030", b"\xd6\xd0\xff\xce\xc4") == "中\ufffd文"
    assert decode_as("euc-jp", b"\xc6\xfc\xff\xff\xcb\xdc\xc6") == "日\ufffd\ufffd本\ufffd"


@pytest.mark.parametrize(
    ("codec", "text"),
    [
        ("gb18030", CHINESE),
        ("big5", TRADITIONAL),
        ("cp932", JAPANESE),
        ("euc-jp", JAPANESE),
        ("cp949", KOREAN),
        ("cp1251", RUSSIAN),
        ("koi8-r", RUSSIAN),
        ("cp1252", FRENCH),
        ("cp874", THAI),
    ],
)
@pytest.mark.parametrize("name", ["", "utf-8", "iso-8859-1", "unheard-of"])
def test_what_is_declared_wrongly_or_not_at_all_is_recognised(codec: str, text: str, name: str) -> None:
    for head in ("", "<style>p {color: red}</style>" * 4000, f"<meta charset={name}>"):
        html = page(text * 3, head)
        assert decode_page(html.encode(codec), charset=name) == html


@pytest.mark.parametrize("text", [RUSSIAN, FRENCH, CHINESE])
@pytest.mark.parametrize("name", ["", "gb2312", "iso-8859-1", "windows-1251", "euc-kr"])
def test_utf_8_with_one_bad_byte_in_a_hundred_characters_is_utf_8(text: str, name: str) -> None:
    before, after = (declared(half, name).encode() for half in (text * 2, text * 20))
    assert decode_page(before + b"\xe9" + after, charset=name) == f"{before.decode()}\ufffd{after.decode()}"
    cut = declared(text * 3, name).encode().rpartition(b"</p>")[0][:-2]
    assert decode_page(cut, charset=name).startswith(declared(text, name).partition("</p>")[0])


def test_the_page_is_believed_before_a_server_that_says_latin_1() -> None:
    html = declared("朱镕基的讲话", "gb2312")
    for charset in ("iso-8859-1", "gb2312", "GBK", "undefined", "idna", "hex", ""):
        assert decode_page(html.encode("gbk"), charset=charset) == html


@pytest.mark.parametrize(
    ("name", "codec", "text"),
    [
        ("iso-8859-2", "cp1250", "Stary latarnik źle śpi, gdyż żółta łódź płynie, a świt był różowy."),
        ("iso-8859-7", "cp1253", "Ο παλιός φάρος – “ψηλός” – στέκεται κοντά στο λιμάνι."),
        ("iso-8859-8", "cp1255", "המגדלור הישן – “גבוה” – עומד ליד הנמל."),
        ("iso-8859-5", "cp1251", "Старый маяк – “высокий” – стоит у порта."),
    ],
)
def test_an_iso_encoding_with_controls_is_that_of_windows(name: str, codec: str, text: str) -> None:
    assert decode_page(declared(text, name).encode(codec)) == declared(text, name)
    plain = text.replace("–", "-").replace("“", "'").replace("”", "'").replace("ź", "z").replace("ś", "s")
    iso = name.replace("iso-", "iso")
    assert decode_page(declared(plain, name).encode(iso)) == declared(plain, name)


def test_where_an_encoding_is_declared() -> None:
    raw = page("Старая").encode("koi8-r")
    for declaration in (
        '<?xml version="1.0" encoding="koi8-r"?>',
        "<!-- <meta charset=gbk> --><META CHARSET = 'KOI8-R'>",
        '<meta content="text/html; charset=koi8-r" http-equiv="Content-Type">',
        "<script>'<meta charset=gbk>'</script><meta charset=koi8-r>",
        "<style>p {color: red}</style>" * 300 + "<meta charset=koi8-r>",
        '<meta name="x" content="charset=gbk"><meta charset=koi8-r>',
    ):
        assert decode_page(declaration.encode() + raw).endswith(page("Старая"))


def test_encodings_of_seven_bits_are_not_taken_for_ascii() -> None:
    for html in (declared(JAPANESE, "iso-2022-jp"), page(JAPANESE)):
        assert decode_page(html.encode("iso2022_jp")) == html
    assert decode_page(page(JAPANESE).encode("iso2022_jp"), charset="ISO-2022-JP") == page(JAPANESE)
    assert decode_as("iso-2022-jp", b"\x1b$B\x2d\x21\x46\x7c\x1b(I\x31\x1b(Bx") == "①日ｱx"
    assert decode_text(JAPANESE.encode("iso2022_jp")) == JAPANESE
    for text, name in (("~{<:Ky2;R*~}", "hz-gb-2312"), ("sch+APY-n", "utf-7"), ("\x1b$)C\x0eGQ", "iso-2022-kr")):
        with pytest.raises(UnicodeError, match="not read"):
            decode_page(declared(text, name).encode())
    assert decode_page(declared("plain ~ text + more", "utf-7").encode()) == declared("plain ~ text + more", "utf-7")


def test_utf_16_is_known_by_its_mark_or_its_nuls() -> None:
    for codec in ("utf-16", "utf-16-le", "utf-16-be", "utf-32"):
        assert decode_page(declared(CHINESE, "utf-16").encode(codec)) == declared(CHINESE, "utf-16")
    for codec in ("utf-16-le", "utf-16-be"):
        html = page("一天下午，他们走到了港口边的旧灯塔。")
        assert decode_page(html.encode(codec)) == html
    assert wide_encoding(b"\0" * 600) is None
    assert wide_encoding(b"PK\3\4\0\0\0\1\0\2\0\3\0\4\0\5\0\6\0\0\0\0") is None
    assert wide_encoding(b"a\0" * 7) is None  # too little to tell
    assert decode_page(b"\xef\xbb\xbf<p>\xc3\xa9") == "<p>é"


def test_of_several_encodings_that_one_is_chosen_in_which_text_makes_sense() -> None:
    for encodings in (["gb18030", "big5"], ["big5", "gb18030"], ["cp1251", "big5", "gb18030", "shift_jis"]):
        assert decode_text(TRADITIONAL.encode("big5"), encodings) == TRADITIONAL
        assert decode_text(CHINESE.encode("gb18030"), encodings) == CHINESE
    assert decode_text(RUSSIAN.encode("cp1251"), ["gb18030", "cp1251", "latin-1"]) == RUSSIAN
    assert decode_text(RUSSIAN.encode("koi8-r"), ["latin-1", "cp1251", "koi8-r"]) == RUSSIAN
    assert decode_text(FRENCH.encode("cp1252"), ["gb18030", "cp1251", "cp1252"]) == FRENCH
    assert decode_text("朱镕基".encode("gbk"), ["gb18030", "big5"]) == "朱镕基"
    assert decode_text(RUSSIAN.encode("cp1251"), charset="windows-1251") == RUSSIAN
    for raw in (JAPANESE.encode("shift_jis"), FRENCH.encode("cp1252")):
        with pytest.raises(UnicodeDecodeError):
            decode_text(raw, ["gb18030", "big5"])
    # Who names one encoding is believed.
    assert decode_text(b"\x82\xb1\x82\xea\x82\xcd" * 9, ["gb18030"])


@pytest.mark.parametrize(
    "part",
    [
        b"<!--",
        b"<script>",
        b"<",
        b"<meta ",
        b"<meta charset=",
        b"a" * 10,
        b"<?xml ",
        b"+aaaaaaaa",
        b"\x1b$B",
        b"<!-- -->",
    ],
)
def test_a_page_made_to_exhaust_the_search_for_its_encoding_takes_no_longer(part: bytes) -> None:
    for page_ in (part * 200_000, part * 200_000 + b"\xff\xfe\xfd", b"<meta charset=utf-7>" + part * 200_000):
        with contextlib.suppress(UnicodeError):
            decode_page(page_)


def test_bytes_of_no_encoding_are_no_text() -> None:
    with pytest.raises(UnicodeError, match="windows-1252"):
        decode_page(b"<p>" + bytes(range(128, 256)) * 2, charset="windows-1252")
