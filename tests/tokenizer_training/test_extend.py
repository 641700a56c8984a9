"""What counts as a Chinese token."""

import unicodedata

from tokenizer_training.extend import is_chinese, is_han


def test_han_is_what_unicode_calls_an_ideograph() -> None:
    for code_point in range(0x2000, 0x32400):
        name = unicodedata.name(chr(code_point), "")
        if name.startswith(("CJK UNIFIED IDEOGRAPH", "CJK COMPATIBILITY IDEOGRAPH")):
            assert is_han(chr(code_point))
        elif name and chr(code_point) != "々":
            assert not is_han(chr(code_point))


def test_tokens_are_whole_han_or_what_only_han_begins_with() -> None:
    assert is_chinese("中国".encode())
    assert not is_chinese("中a".encode())
    assert not is_chinese("，中".encode())
    assert not is_chinese("カ".encode())
    assert is_chinese("中".encode()[:2])
    assert not is_chinese("中".encode()[:1])
    assert not is_chinese("中".encode()[1:])
    # E4 B7 begins both the last Han characters of Extension A and the hexagrams that follow them.
    assert not is_chinese("䷀".encode()[:2])
    assert is_chinese("𠀀".encode()[:3])
