"""Chinese augmentation: more merges for Han text on top of a tokenizer, which leave all other text exactly as it was.

A new token consists of whole Han characters, so a text without Han never meets one; and new merges rank after all old
ones, so they only ever join what the base left apart: Chinese boundaries are a subset of the base's.
"""

import functools

# Unified ideographs with their extensions and compatibility forms, and the iteration mark: what is written in Chinese.
HAN_RANGES = (
    (0x3005, 0x3005),
    (0x3400, 0x4DBF),
    (0x4E00, 0x9FFF),
    (0xF900, 0xFAFF),
    (0x20000, 0x2A6DF),
    (0x2A700, 0x2EE5D),
    (0x2F800, 0x2FA1F),
    (0x30000, 0x323AF),
)


def is_han(character: str) -> bool:
    """Whether a character is a Han character."""
    return any(first <= ord(character) <= last for first, last in HAN_RANGES)


@functools.cache
def _han_prefixes() -> frozenset[bytes]:
    """The UTF-8 prefixes of two bytes or more that only Han characters have."""
    number: dict[bytes, int] = {}
    for first, last in HAN_RANGES:
        for code_point in range(first, last + 1):
            encoded = chr(code_point).encode()
            for length in range(2, len(encoded)):
                number[encoded[:length]] = number.get(encoded[:length], 0) + 1
    # A prefix of n bytes of a character of m stands for 64 ** (m - n) characters.
    return frozenset(
        prefix for prefix, han in number.items() if han == 64 ** ((3 if prefix[0] < 0xF0 else 4) - len(prefix))
    )


def is_chinese(token: bytes) -> bool:
    """Whether a token is whole Han characters, or the first bytes of what can only be one."""
    try:
        text = token.decode()
    except UnicodeDecodeError:
        return token in _han_prefixes()
    return all(map(is_han, text))
