"""Masking of personal data: e-mail and public IP addresses, phone numbers, Chinese identity numbers.

Unlike `normalization` it is a stage of its own, so that deduplication and filters see what was written: FineWeb masks
last, too. It writes `text` again, and how much it masked; it removes no document.
"""

import dataclasses
import datetime
import ipaddress
import re
from collections.abc import Callable
from typing import ClassVar, Literal

import pyarrow as pa
import pyarrow.compute as pc

from datapipe.stage import DocumentStage
from datapipe.store.corpus import PartKind

# All patterns are bounded, so that no text makes them take more than linear time, and their digits are ASCII.
_EMAIL = re.compile(
    r"(?<![A-Za-z0-9._%+-])[A-Za-z0-9._%+-]{1,64}@(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.){1,8}[A-Za-z]{2,24}"
    r"(?![A-Za-z0-9-]|(?<=[A-Za-z]{4})\()"  # `a@b.reshape(` multiplies matrices
)
# A service, domains for examples (RFC 2606), and images for screens of higher resolution: icon@2x.png
_NOBODY = re.compile(
    r"^git@|[@.](?:example\.(?:com|net|org)|example|test|invalid)$|\.(?:png|jpe?g|gif|svg|webp)$", re.IGNORECASE
)
_IPV4 = re.compile(r"(?<![0-9A-Za-z.])(?:[0-9]{1,3}\.){3}[0-9]{1,3}(?!\.?[0-9])")
_IPV6 = re.compile(r"(?<![0-9A-Za-z:.])(?:[0-9A-Fa-f]{0,4}:){2,7}[0-9A-Fa-f]{0,4}(?![0-9A-Za-z:])")
# Four numbers as small as these are a version, a section or an object identifier; of addresses, one in 4,096.
_MOST_OF_A_VERSION = 31
# The country codes that ITU-T E.164 assigns (list of 2016), but for services that are nobody's.
_COUNTRY = (
    r"(?:1|7|2(?:0|7|1[12368]|2[0-9]|3[0-9]|4[0-9]|5[0-8]|6[0-9]|9[01789])|3(?:[0-469]|5[0-9]|7[0-8]|8[0-35-79])"
    r"|4(?:[013-9]|2[013])|5(?:[1-8]|0[0-9]|9[0-9])|6(?:[0-6]|7[02-9]|8[0-35-9]|9[0-2])|8(?:[1246]|5[02356]|8[06])"
    r"|9(?:[0-58]|6[0-8]|7[0-7]|9[2-68]))"
)
_NORTH_AMERICA = r"\(?[2-9][0-9]{2}\)?[ .-]?[2-9][0-9]{2}[ .-]?[0-9]{4}"
_PHONE = re.compile(
    r"(?<![0-9A-Za-z_.+$€£¥￥-])(?<![0-9A-Za-z][/=])(?:"
    r"(?:\+1[ .-]?)"
    + _NORTH_AMERICA  # international: + and the country's number
    + r"|\+(?!1)"
    + _COUNTRY
    + r"[ .-]?\(?[0-9]{1,4}\)?(?:[ .-]?[0-9]{2,4}){2,4}"
    r"|(?:1[ .-])?(?=\(?[0-9]{3}\)?[ .-][0-9]{3}[.-])"
    + _NORTH_AMERICA  # North America
    + r"|(?:\(0[1-9][0-9]{1,2}\)[ -]?|0[1-9][0-9]{1,2}[ -])[2-8][0-9]{6,7}"  # China, land lines
    r"|(?:(?:00)?86[ -]?)?1[3-9][0-9](?:[0-9]{8}|([ -])[0-9]{4}\1[0-9]{4})"  # China, mobile
    r")(?![0-9A-Za-z]|[.-][0-9])"
)
# Province (GB/T 2260), district, date of birth, number, check digit.
_CHINESE_ID = re.compile(
    r"(?<![0-9A-Za-z])(?:1[1-5]|2[1-3]|3[1-7]|4[1-6]|5[0-4]|6[1-5]|71|8[1-3])[0-9]{4}(?:19|20)[0-9]{9}[0-9Xx](?![0-9A-Za-z])"
)
_GLOBAL_UNICAST = ipaddress.ip_network("2000::/3")  # all that IANA has given out of IPv6


def is_email(address: str) -> bool:
    """Whether an address can be somebody's: `git@` is a service's, and so are domains for examples nobody's."""
    return not _NOBODY.search(address)


def is_public_ip(address: str) -> bool:
    """Whether an address is of the public internet: private, local, multicast and documentation ones identify nobody.

    Four numbers of which none is above 31 count as a version (1.2.3.4), not as an address.
    """
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    if parsed.version == 4:
        return parsed.is_global and not parsed.is_multicast and max(parsed.packed) > _MOST_OF_A_VERSION
    return parsed.is_global and parsed in _GLOBAL_UNICAST


def is_phone(number: str) -> bool:
    """Whether a number has as many digits as phone numbers have (ITU-T E.164: 15 at most), and is no round sum."""
    digits = "".join(character for character in number if character.isdigit())
    return 9 <= len(digits) <= 15 and not digits.endswith("000000")


def is_chinese_id(number: str) -> bool:
    """Whether a number is a Chinese identity number by its date of birth and check digit (GB 11643-1999)."""
    try:
        datetime.date(int(number[6:10]), int(number[10:12]), int(number[12:14]))
    except ValueError:
        return False
    weighted = sum(int(digit) * pow(2, 17 - place, 11) for place, digit in enumerate(number[:17]))
    return "10X98765432"[weighted % 11] == number[17].upper()


Entity = Literal["email", "ip", "chinese_id", "phone"]
# Of each entity: how to find candidates, which of them count, and what stands in their place: addresses that RFC 2606,
# 5737 and 3849 keep for documentation, so that text and code around them stays well formed.
_ENTITIES: dict[Entity, tuple[tuple[re.Pattern[str], Callable[[str], bool], str], ...]] = {
    "email": ((_EMAIL, is_email, "email@example.com"),),
    "ip": ((_IPV4, is_public_ip, "192.0.2.1"), (_IPV6, is_public_ip, "2001:db8::1")),
    "chinese_id": ((_CHINESE_ID, is_chinese_id, "[ID]"),),
    "phone": ((_PHONE, is_phone, "[PHONE]"),),
}
# A document in which this finds nothing has nothing to mask; RE2 finds it at several hundred MB/s.
_TRACES = {
    "email": "[A-Za-z0-9]@[A-Za-z0-9]",
    "ip": "[0-9]\\.[0-9]{1,3}\\.[0-9]{1,3}\\.[0-9]|[0-9A-Fa-f]:[0-9A-Fa-f:]*:",
    "chinese_id": "[0-9]{17}",
    "phone": "[0-9]{4}|\\+[0-9]",
}


def mask(text: str, entities: tuple[Entity, ...]) -> tuple[str, dict[Entity, int]]:
    """A text with personal data of some entities masked, and how often of each.

    >>> mask("Write to jo@firm.co.uk, or call +44 20 7946 0958.", ("email", "phone"))
    ('Write to email@example.com, or call [PHONE].', {'email': 1, 'phone': 1})
    """
    counts = dict.fromkeys(entities, 0)
    for entity in entities:
        for pattern, counts_as, stand_in in _ENTITIES[entity]:

            def replace(match: re.Match[str]) -> str:
                if not counts_as(match.group()):  # noqa: B023 - called at once
                    return match.group()
                counts[entity] += 1  # noqa: B023
                return stand_in  # noqa: B023

            text = pattern.sub(replace, text)
    return text, counts


# The column of how often each entity was masked in a document.
COUNTS = {entity: f"masked_{entity}" for entity in _ENTITIES}


@dataclasses.dataclass(eq=False)
class MaskPersonalData(DocumentStage):
    """Replace personal data by stand-ins.

    Attributes:
        mask: of "email", "ip" (public IPv4 and IPv6), "phone" (international with +, North American, Chinese) and
            "chinese_id" (of 18 digits). E-mail and IP addresses are what FineWeb masks, with the same restriction to
            public addresses; unlike there, versions (1.2.3.4), git@, example.com and icon@2x.png stay.
    """

    mask: list[Entity] = dataclasses.field(default_factory=lambda: list(_ENTITIES))

    name: ClassVar[str] = "personal_data"
    version: ClassVar[int] = 2
    writes: ClassVar[pa.Schema] = pa.schema(
        [("text", pa.string()), ("bytes", pa.int64()), *((column, pa.int32()) for column in COUNTS.values())]
    )

    def part_kinds(self) -> tuple[PartKind, ...]:
        """Documents and instruction data."""
        return ("document", "instruction")

    def requires(self) -> tuple[str, ...]:
        """The columns that it needs."""
        return ("text",)

    def process(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """The batch's texts, masked, and the counts."""
        texts = batch.column("text")
        entities = tuple(entity for entity in _ENTITIES if entity in self.mask)
        counts = {entity: [0] * len(texts) for entity in _ENTITIES}
        changed = {}
        traces = "|".join(_TRACES[entity] for entity in entities)
        traced = pc.match_substring_regex(texts, traces).fill_null(False) if entities else []
        for row in pc.indices_nonzero(traced).to_pylist() if entities else []:
            text, found = mask(texts[row].as_py(), entities)
            if any(found.values()):
                changed[row] = text
                for entity, count in found.items():
                    counts[entity][row] = count
        mask_array = pa.array([row in changed for row in range(len(texts))], pa.bool_())
        texts = pc.replace_with_mask(texts, mask_array, pa.array(changed.values(), texts.type))
        arrays = [texts, pc.binary_length(texts), *(pa.array(counts[entity], pa.int32()) for entity in _ENTITIES)]
        return pa.RecordBatch.from_arrays(
            [array.cast(field.type) for array, field in zip(arrays, self.writes, strict=True)], schema=self.writes
        )
