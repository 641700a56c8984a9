"""Masking of personal data: addresses, phone, identity, card and account numbers, and keys that open accounts.

Unlike `normalization` it is a stage of its own, so that deduplication and filters see what was written: FineWeb masks
last, too. It writes `text` again, and how much it masked; it removes no document.
"""

import dataclasses
import datetime
import ipaddress
import json
import re
from collections.abc import Callable, Collection, Iterator
from typing import Any, ClassVar, Literal, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from datapipe.stage import DocumentStage
from datapipe.store.corpus import MASKED, PartKind
from datapipe.text.dialogues import MESSAGES, message_columns, read_dialogues, spoken_text

# Forms that say the same are one for the patterns: full-width ASCII, dashes, spaces, and the digits of Arabic, Persian
# and Hindi. Each stays one character, so that what is found lies in the text where it lies in the folded one.
_FOLDED = {0xFEE0 + code_point: code_point for code_point in range(0x21, 0x7F)} | {
    **dict.fromkeys((*range(0x2010, 0x2016), 0x2212), ord("-")),
    **{zero + digit: ord("0") + digit for zero in (0x660, 0x6F0, 0x966) for digit in range(10)},
    **dict.fromkeys((0xA0, 0x2002, 0x2003, 0x2007, 0x2009, 0x202F, 0x3000), ord(" ")),
}
# All patterns are bounded, so that no text makes them take more than linear time, and their digits are ASCII.
# Letters of addresses (RFC 6531): of alphabets; Chinese, Japanese and Thai text has no space before an address.
_L = "A-Za-z0-9\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u024f\u0370-\u03ff\u0400-\u052f\u1e00-\u1eff"
# What ends the name of a file, no domain: icon@2x.png is nobody's, and in jo@firm.com.gpg is somebody's address.
_EXTENSION = r"(?i:txt|gpg|asc|log|pdf|png|jpe?g|gif|svg|webp|zip|gz|tar|csv|json|html?|eml|vcf)(?![0-9A-Za-z-])"
_EMAIL = re.compile(
    rf"(?:(?<![{_L}._%+-])[{_L}._%+-]{{1,64}}(?:'[{_L}._%+-]{{1,64}})?"
    rf"|(?<![^\s(<:,;])\"[^\"\s@]{{1,30}}(?: [^\"\s@]{{1,30}})?\")"
    rf"@(?:[{_L}](?:[{_L}-]{{0,61}}[{_L}])?\.){{1,8}}(?!{_EXTENSION})(?P<top>[A-Za-z]{{2,24}}|[\u0370-\u052f]{{2,24}})"
    rf"(?![{_L}-])(?=(?P<call>\()?)"
)
# Top-level domains of IANA's root zone but for those of two letters, which all are a country's or could be: the old
# ones, and the new ones with the most names. `x@W.sum(1)` multiplies matrices, and `.lan` and `.local` are nobody's.
_TOP_LEVEL = (
    "com org net edu gov mil int info biz name pro aero coop museum jobs mobi travel tel cat asia post academy "
    "accountant accountants agency app art associates auto bank bar beauty berlin best bid bike bio blog boston "
    "build builders business buzz cafe camera camp capital care career careers cash center charity chat church "
    "city clinic clothing cloud club coach codes coffee college community company computer consulting contact "
    "contractors cool country courses credit cyou dance date delivery dental design dev diet digital direct "
    "directory doctor dog domains download earth education email energy engineer engineering estate events "
    "exchange expert express family fan farm fashion finance financial fish fit fitness flights florist football "
    "foundation fun fund furniture fyi gallery game games garden gmbh gift gifts gives global gold golf graphics "
    "green group guide guru hair haus health healthcare help hiphop holdings holiday homes horse hospital host "
    "hosting house icu immo inc institute insurance insure international investments jewelry kitchen land law "
    "lawyer legal life limited link live llc loan loans lol london love ltd luxury maison management market "
    "marketing mba media memorial men menu moda moe mom money monster moscow movie music network news ngo ninja "
    "nyc one ong online ooo page paris partners parts party pet photo photography photos pictures pink pizza "
    "place plumbing plus poker press productions promo properties pub quest racing realty recipes rehab rent "
    "rentals repair report rest restaurant review reviews rip rocks run saarland sale salon sbs school science "
    "security services shoes shop shopping show singles site ski skin soccer social software solar solutions "
    "space sport store stream studio style supply support surf surgery systems tattoo tax taxi team tech "
    "technology tennis theater tickets tips tires today tokyo tools top tours town toys trade trading training "
    "tube university vacations vegas ventures vet video villas vin vip vision vodka vote voyage wales watch "
    "webcam website wedding wien wiki win wine work works world wtf xin xyz yoga zone рф укр бел срб мкд мон қаз "
    "бг ελ onion дети онлайн сайт орг ком москва рус"
)
_KNOWN = frozenset(_TOP_LEVEL.split())
# Domains after which a bracket is a remark, not an argument.
_REMARKED = ("com", "org", "net", "edu", "gov", "cn", "de", "uk", "fr", "jp", "ru")
# Services, and domains for examples (RFC 2606).
_NOBODY = re.compile(
    r"^(?:git|hg|svn)@|[@.](?:example\.(?:com|net|org)|example|test|invalid)$",
    re.IGNORECASE,
)
# Before four numbers that are no address: a version, a section, an object identifier; after them, the rest of one.
_NUMBERED = (
    r"(?i:version|ver\.?|release|build|kernel|firmware|driver|section|sect?\.|chapter|clause|article|table|figure"
    r"|fig\.|appendix|oid|§|版本|版|第|节|章|表|图)"
)
# Before or after four small numbers that are one all the same: what an address is called, reached by or followed by.
_ADDRESSED = r"(?i:(?<![a-z])(?:ip(?:v4)?(?: address|地址)?|dns|nameserver|ping|ssh|dig|traceroute)[ :：=]{1,2}|://|@)"
_IPV4 = re.compile(
    r"(?:(?<![0-9A-Za-z.])(?<![A-Za-z][/-])(?P<before>" + _NUMBERED + r"[ :：=]{0,2})|(?P<surely>" + _ADDRESSED + r"))?"
    r"(?<![0-9A-Za-z.])(?<![A-Za-z][/-])(?P<ip>(?:[0-9]{1,3}\.){3}[0-9]{1,3})(?!\.?[0-9]|[_-][A-Za-z]|[节章版])"
    r"(?=(?P<port>:[0-9]{2,5}(?![0-9.:])|/(?:[89]|[12][0-9]|3[0-2])(?![0-9./]))?)"
)
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
# After such a word, any number of so many digits is one to call.
_CALLED = (
    r"(?i:(?<![a-z])(?:tel|telephone|telefon[a-zá]{0,8}|tel[eé]fono|t[eé]l[eé]phone|phone|mobil[a-z]{0,4}|m[oó]vil|cell"
    r"|tfno|tlf|tfn|telp|puh|celular|cellulare|gsm|handy|fax|whatsapp|call|ring|dial|appele[rz]|llam[ae]r?|chiama(?:te|re)?|bel|zadzwoń)"
    r"(?: (?:us|me|at|on|al|le|au))*"
    r"|тел|телефон|звоните|моб|هاتف|تلفن|تلفون|फ़ोन|फोन|โทร|โทรศัพท์|טלפון|τηλ|điện thoại|đt"
    r"|电话|電話|手机|手機|手机号|传真|傳真|热线|座机|联系方式|連絡先|携帯|전화|휴대폰|핸드폰|☎|📞)"
)
# What is counted or paid is no number to call.
_UNIT = (
    r"(?! ?(?:bytes?\b|[KMGT]?i?B\b|rows\b|ms\b|ns\b|元|円|圓|万|亿|字节|字節|次|条|个|euros?\b|dollars?\b|USD\b|€))"
)
_PHONE = re.compile(
    r"(?<![0-9A-Za-z_.+$€£¥-])(?<![0-9] )(?<![A-Za-z][/=])(?<![0-9]=)(?:(?<=[0-9]{8}/)|(?<![0-9]/))(?:"
    r"\(?(?:\+|00)1\)?[ .-]?"
    + _NORTH_AMERICA  # international: + and the country's number
    # its groups, with a national 0 or an area code in brackets
    + r"|(?:\((?:\+|00)(?!1)"
    + _COUNTRY
    + r"\)|(?:\+|00 ?(?=[0-9]{2,3}[ ./-]|861)|011 (?=[0-9]{2,3} ))(?!1)"
    + _COUNTRY
    + r")"
    r"[ ./-]?(?:\(0\)[ ./-]?)?\(?[0-9]{1,5}\)?(?:(?:[ ./-]| [/-] )?[0-9]{1,5}){1,6}"
    r"|(?:1[ .-])?(?=\(?[0-9]{3}\)?[ .-][0-9]{3}[.-]|\([0-9]{3}\)[ ]?[0-9]{3}[ .-])"
    + _NORTH_AMERICA  # North America
    # China: land lines, mobile, shared cost
    + r"|(?:\(0[1-9][0-9]{1,2}\)[ -]?|0[1-9][0-9]{1,2}[ -])[2-8](?:[0-9]{6,7}|[0-9]{2,3}[ -][0-9]{4})"
    r"|(?:(?:00)?86[ -]?)?1[3-9][0-9](?:[0-9]{8}|([ .-])[0-9]{4}\1[0-9]{4})"
    r"|[48]00-[0-9]{3}-[0-9]{4}|[48]00-[0-9]{4}-[0-9]{3}"
    r"|0[1-9][0-9]{2} [0-9]{3} [0-9]{2} [0-9]{2}"  # pairs: Turkey, France
    r"|0[1-9](?:([ .-])[0-9]{2})(?:\2[0-9]{2}){3}(?! [0-9]{2}(?![0-9]))"
    r"|0[1-9][0-9]{0,3}([ -])[0-9]{3,4}\3[0-9]{3,4}"  # three groups: Japan, Korea, Taiwan, Italy, Britain
    r"|\(0[1-9][0-9]{0,4}\)[ ]?[0-9]{3,4}[ -]?[0-9]{3,4}"
    r"|0[1-9][0-9]{1,4} ?/ ?[0-9]{3,8}(?:[ -][0-9]{2,4}){0,2}"  # Germany, Austria
    r"|0[1-9][0-9]{2,3}[ -][0-9]{6,8}"  # two groups: Germany, Britain
    r"|0[1-9][0-9]?-(?!(?:19|20)[0-9]{6}(?![0-9]))[0-9]{7,8}"  # Netherlands
    r"|0[1-9][0-9]{0,3}\([0-9]{2,4}\)[0-9]{4}"  # Japan
    r"|8[ -]?\(?[3-9][0-9]{2}\)?[ -]?[0-9]{3}[ -][0-9]{2}[ -][0-9]{2}"  # Russia
    r"|[6-9][0-9]{4}[ -][0-9]{5}"  # India
    r"|\([1-9][0-9]\) ?9?[0-9]{4}-[0-9]{4}"  # Brazil
    r")(?![0-9A-Za-z]|[.-][0-9]|-[0-9A-Fa-f]{2}(?![0-9A-Za-z]))" + _UNIT
)
_CALL = re.compile(
    r"(?:" + _CALLED + r")(?:\.|号|号码| ?(?:no\.?|n(?:umme)?r\.?|number))?[ :：]{0,2}"
    r"(?P<phone>\(?[0-9]{1,5}\)?(?:(?:[ .-]| [/-] )?[0-9]{1,5}){1,5})"
    r"(?![0-9A-Za-z]|[.,:/-][0-9])" + _UNIT
)
# Province (GB/T 2260), district, date of birth, number, check digit.
_CHINESE_ID = re.compile(
    r"(?<![0-9A-Za-z])(?:1[1-5]|2[1-3]|3[1-7]|4[1-6]|5[0-4]|6[1-5]|71|8[1-3])[0-9]{4}(?P<space>[ -]?)(?:19|20)[0-9]{6}"
    r"(?P=space)[0-9]{3}[0-9Xx](?![0-9A-Za-z])"
)
# 13 to 19 digits that an issuer has (ISO/IEC 7812): Visa, Mastercard, American Express, Discover, UnionPay, JCB.
_CARD = re.compile(
    r"(?<![0-9A-Za-z.])(?<![0-9][ -])(?=4|5[1-5]|2[2-7]|3[47]|35|6[0245])"
    r"(?:[0-9]{13,19}|[0-9]{4}([ -])[0-9]{4}\1[0-9]{4}\1[0-9]{4}(?:\1[0-9]{3})?|3[47][0-9]{2}([ -])[0-9]{6}\2[0-9]{5})"
    r"(?![0-9A-Za-z]|[ .-][0-9])"
)
_IBAN = re.compile(r"(?<![0-9A-Za-z])[A-Z]{2}[0-9]{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?(?![0-9A-Za-z])")
# Lengths of the IBAN registry (SWIFT, release 98), of countries with more than a million people.
_IBAN_LENGTHS = dict(
    re.findall(
        r"(..)(\d\d)",
        "AE23AL28AT20AZ28BA20BE16BG22BH22BR29BY28CH21CR22CY28CZ24DE22DK18DO28EE20EG29ES24FI18FR27GB22GE22GR27GT28HR21HU28"
        "IE22IL23IQ23IS26IT27JO30KW30KZ20LB28LT20LU20LV21LY25MD24MK19MR27MT31MU30NL18NO15PK24PL28PS29PT25QA29RO24RS22RU33"
        "SA24SE24SI19SK24SV28TN24TR26UA29VA22XK20",
    )
)
# The forms that the issuers document, as gitleaks and GitHub's secret scanning look for them.
_AWS_SECRET = re.compile(
    r"(?i:aws_secret_access_key|secretaccesskey)[\"']?\s{0,3}[:=]\s{0,3}[\"']?"
    r"(?P<secret>[A-Za-z0-9/+]{40})(?![A-Za-z0-9/+=])"
)
_SECRET = re.compile(
    r"(?<![A-Za-z0-9])(?:AKIA|ASIA)[A-Z2-7]{16}(?![A-Za-z0-9])"  # AWS key ids
    r"|(?<![A-Za-z0-9])gh[pousr]_[A-Za-z0-9]{36,255}|(?<![A-Za-z0-9])github_pat_[A-Za-z0-9_]{60,255}"
    r"|(?<![A-Za-z0-9])glpat-[A-Za-z0-9_-]{20,64}|(?<![A-Za-z0-9])xox[abprs]-[A-Za-z0-9-]{10,250}"
    r"|(?<![A-Za-z0-9])AIza[A-Za-z0-9_-]{35}|(?<![A-Za-z0-9])sk_live_[A-Za-z0-9]{24,99}|(?<![A-Za-z0-9])hf_[A-Za-z0-9]{34}"
    r"|-----BEGIN (?:[A-Z]{1,12} ){0,3}PRIVATE KEY(?: BLOCK)?-----[A-Za-z0-9+/=\s:,.()\\-]{16,16000}?"
    r"-----END (?:[A-Z]{1,12} ){0,3}PRIVATE KEY(?: BLOCK)?-----"
)
_GLOBAL_UNICAST = ipaddress.ip_network("2000::/3")  # all that IANA has given out of IPv6


def is_email(match: re.Match[str]) -> bool:
    """Whether an address can be somebody's: in a domain that there is, no service's and no example's."""
    top = match["top"].lower()
    known = top in _KNOWN or (len(top) == 2 and top.isascii())
    return known and not _NOBODY.search(match.group()) and (not match["call"] or top in _REMARKED)


def is_public_ip(address: str, *, small: bool = False) -> bool:
    """Whether an address is of the public internet: private, local, multicast and documentation ones identify nobody.

    Four numbers of which none is above 31 count as a version (1.2.3.4), not as an address, unless they may be `small`.
    """
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    if parsed.version == 4:
        return parsed.is_global and not parsed.is_multicast and (small or max(parsed.packed) > _MOST_OF_A_VERSION)
    return parsed.is_global and parsed in _GLOBAL_UNICAST


def is_phone(number: str, fewest: int = 9) -> bool:
    """Whether a number has as many digits as phone numbers have (ITU-T E.164: 15 at most), and is no sum or date."""
    digits = "".join(character for character in number if character.isdigit())
    return fewest <= len(digits) <= 15 and not digits.endswith("000000") and not _DATE.match(number)


_DATE = re.compile(
    r"(?:19|20)[0-9]{2}[ .-]?(?:0?[1-9]|1[0-2])[ .-]?(?:0?[1-9]|[12][0-9]|3[01])(?![0-9])"
    r"|(?:19|20)[0-9]{2}-(?:19|20)[0-9]{2}$"
)


def is_chinese_id(number: str) -> bool:
    """Whether a number is a Chinese identity number by its date of birth and check digit (GB 11643-1999)."""
    number = number.replace(" ", "").replace("-", "")
    try:
        datetime.date(int(number[6:10]), int(number[10:12]), int(number[12:14]))
    except ValueError:
        return False
    weighted = sum(int(digit) * pow(2, 17 - place, 11) for place, digit in enumerate(number[:17]))
    return "10X98765432"[weighted % 11] == number[17].upper()


def is_card(number: str) -> bool:
    """Whether the digits of a card's number add up (Luhn; ISO/IEC 7812-1), and are not all alike.

    >>> is_card("4111 1111 1111 1111"), is_card("4111 1111 1111 1112")
    (True, False)
    """
    digits = [int(character) for character in number if character.isdigit()]
    doubled = [2 * digit - 9 * (digit > 4) for digit in digits[-2::-2]]
    return 13 <= len(digits) <= 19 and len(set(digits)) > 1 and (sum(digits[-1::-2]) + sum(doubled)) % 10 == 0


def is_iban(number: str) -> bool:
    """Whether an account number has its country's length and check digits (ISO 13616).

    >>> is_iban("DE89 3704 0044 0532 0130 00"), is_iban("DE88 3704 0044 0532 0130 00")
    (True, False)
    """
    bare = number.replace(" ", "")
    if _IBAN_LENGTHS.get(bare[:2]) != str(len(bare)):
        return False
    return int("".join(str(int(character, 36)) for character in bare[4:] + bare[:4])) % 97 == 1


Entity = Literal["email", "ip", "chinese_id", "phone", "bank_card", "iban", "secret"]


class _Kind(NamedTuple):
    """How an entity is found.

    Attributes:
        near: what is looked for first, cheaply; candidates are looked for around it:
        before, after: so many characters.
        pattern: candidates.
        group: what of them is masked.
        counts: which of them count.
        stand_in: what is written instead.
    """

    near: re.Pattern[str]
    before: int
    after: int
    pattern: re.Pattern[str]
    group: str | int
    counts: Callable[[re.Match[str]], bool]
    stand_in: str


# A document in which this finds nothing has nothing to mask; RE2 finds it at several hundred MB/s.
_DIGIT = "[0-9０-９٠-٩۰-۹०-९]"
_TRACES = {
    "email": "[@＠]",
    "ip": f"{_DIGIT}[.．]{_DIGIT}{{1,3}}[.．]{_DIGIT}{{1,3}}[.．]{_DIGIT}|[0-9A-Fa-f]:[0-9A-Fa-f:]*:",
    "chinese_id": f"{_DIGIT}{{6}}",
    "phone": f"{_DIGIT}(?:[^0-9０-９٠-٩۰-۹०-९A-Za-z,]{{0,3}}{_DIGIT}){{6}}",
    "bank_card": f"{_DIGIT}{{4}}",
    "iban": "[A-ZＡ-Ｚ]{2}[0-9０-９]{2}",
    "secret": "AKIA|ASIA|(?i:secret_?access_?key)|gh[pousr]_|github_pat_|glpat-|xox|AIza|sk_live_|hf_|PRIVATE KEY",
}
_DIGITS = re.compile("[+(0-9][0-9()+./ -]{5,}")  # of a phone number
# Addresses stand in that RFC 2606, 5737 and 3849 keep for documentation, so that what is around stays well formed.
_ENTITIES: dict[Entity, tuple[_Kind, ...]] = {
    "secret": (
        _Kind(re.compile(_TRACES["secret"]), 24, 17000, _SECRET, 0, lambda _: True, "[SECRET]"),
        _Kind(re.compile("(?i:secret_?access_?key)"), 24, 70, _AWS_SECRET, "secret", lambda _: True, "[SECRET]"),
    ),
    "email": (_Kind(re.compile("@"), 132, 300, _EMAIL, 0, is_email, "email@example.com"),),
    "iban": (_Kind(re.compile("[A-Z]{2}[0-9]{2}"), 0, 48, _IBAN, 0, lambda match: is_iban(match.group()), "[IBAN]"),),
    "ip": (
        _Kind(
            re.compile(r"[0-9]+\.[0-9]+\."),
            20,
            24,
            _IPV4,
            "ip",
            lambda match: (
                not match["before"] and is_public_ip(match["ip"], small=bool(match["surely"] or match["port"]))
            ),
            "192.0.2.1",
        ),
        _Kind(
            re.compile(":[0-9A-Fa-f]{0,4}:"), 4, 48, _IPV6, 0, lambda match: is_public_ip(match.group()), "2001:db8::1"
        ),
    ),
    "chinese_id": (
        _Kind(re.compile("[0-9]{6}"), 0, 24, _CHINESE_ID, 0, lambda match: is_chinese_id(match.group()), "[ID]"),
    ),
    "bank_card": (_Kind(re.compile("[0-9]{4}"), 0, 32, _CARD, 0, lambda match: is_card(match.group()), "[CARD]"),),
    "phone": (
        _Kind(_DIGITS, 2, 16, _PHONE, 0, lambda match: is_phone(match.group()), "[PHONE]"),
        _Kind(_DIGITS, 32, 16, _CALL, "phone", lambda match: is_phone(match["phone"], 7), "[PHONE]"),
    ),
}


def _candidates(text: str, kind: _Kind) -> Iterator[re.Match[str]]:
    """What could be an entity, in order: a pattern tried at each character of a text would take most of the time."""
    begin = end = 0
    for near in kind.near.finditer(text):
        if near.start() - kind.before > end:
            yield from kind.pattern.finditer(text, begin, end)
            begin = near.start() - kind.before
        end = near.end() + kind.after
    yield from kind.pattern.finditer(text, max(0, begin), end)


def mask(text: str, entities: tuple[Entity, ...]) -> tuple[str, dict[Entity, int]]:
    """A text with personal data of some entities masked, and how often of each.

    >>> mask("Write to jo@firm.co.uk, or call +44 20 7946 0958.", ("email", "phone"))
    ('Write to email@example.com, or call [PHONE].', {'email': 1, 'phone': 1})
    """
    counts = dict.fromkeys(entities, 0)
    folded = text if text.isascii() else text.translate(_FOLDED)
    for entity in (entity for entity in _ENTITIES if entity in entities):
        for kind in _ENTITIES[entity]:
            spans = [match.span(kind.group) for match in _candidates(folded, kind) if kind.counts(match)]
            counts[entity] += len(spans)
            for begin, end in reversed(spans):
                text = text[:begin] + kind.stand_in + text[end:]
                folded = folded[:begin] + kind.stand_in + folded[end:]
    return text, counts


# The column of how often each entity was masked in a document.
COUNTS = {entity: MASKED + entity for entity in _ENTITIES}


@dataclasses.dataclass(eq=False)
class MaskPersonalData(DocumentStage):
    """Replace personal data by stand-ins.

    Attributes:
        mask: of "email", "ip" (public IPv4 and IPv6), "phone" (international with + or 00; the national forms of China,
            North America, Japan, Korea, Taiwan, India, Brazil, Russia and most of Europe; after "tel" and the like, any
            of 7 to 15 digits), "chinese_id" (of 18 digits), "bank_card" (of a known issuer, by Luhn's sum), "iban" (by
            its check digits) and "secret" (keys and tokens of AWS, GitHub, GitLab, Slack, Google, Stripe and Hugging
            Face, private keys). E-mail and IP addresses are what FineWeb masks, with the same restriction to public
            addresses; unlike there, versions (1.2.3.4), git@, example.com and icon@2x.png stay.
    """

    mask: list[Entity] = dataclasses.field(default_factory=lambda: list(_ENTITIES))

    name: ClassVar[str] = "personal_data"
    version: ClassVar[int] = 7
    writes: ClassVar[pa.Schema] = pa.schema(
        [
            ("text", pa.string()),
            ("bytes", pa.int64()),
            ("messages", MESSAGES),
            *((column, pa.int32()) for column in COUNTS.values()),
        ]
    )

    def part_kinds(self) -> tuple[PartKind, ...]:
        """Documents and instruction data."""
        return ("document", "instruction")

    def requires(self) -> tuple[str, ...]:
        """The columns that it needs."""
        return ("text",)

    def optional(self) -> tuple[str, ...]:
        """The messages of instruction data, of which its text is made."""
        return ("messages",)

    def process(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """The batch's texts and messages, masked, and the counts."""
        texts = batch.column("text")
        has_messages = "messages" in batch.schema.names and not pa.types.is_null(batch.column("messages").type)
        messages = batch.column("messages") if has_messages else pa.nulls(len(batch), MESSAGES)
        entities = [entity for entity in _ENTITIES if entity in self.mask]
        counts = {entity: [0] * len(texts) for entity in _ENTITIES}
        changed = {}
        traced = [pc.match_substring_regex(texts, _TRACES[entity]).fill_null(False) for entity in entities]
        traces = np.array([column.to_numpy(zero_copy_only=False) for column in traced], bool).reshape(-1, len(texts))
        for row in np.flatnonzero(traces.any(axis=0)).tolist():
            looked_for = tuple(entity for entity, trace in zip(entities, traces[:, row], strict=True) if trace)
            text, found = mask(texts[row].as_py(), looked_for)
            if any(found.values()):
                changed[row] = text
                for entity, count in found.items():
                    counts[entity][row] = count
        if changed and has_messages:
            messages, spoken = _mask_messages(messages, changed.keys(), tuple(entities))
            changed |= spoken
        mask_array = pa.array([row in changed for row in range(len(texts))], pa.bool_())
        texts = pc.replace_with_mask(texts, mask_array, pa.array(changed.values(), texts.type))
        arrays = [
            texts,
            pc.binary_length(texts),
            messages,
            *(pa.array(counts[entity], pa.int32()) for entity in _ENTITIES),
        ]
        return pa.RecordBatch.from_arrays(
            [array.cast(field.type) for array, field in zip(arrays, self.writes, strict=True)], schema=self.writes
        )


def _mask_messages(
    messages: pa.Array, rows: Collection[int], entities: tuple[Entity, ...]
) -> tuple[pa.Array, dict[int, str]]:
    """Messages with personal data of some rows masked, and what is then said in those rows that have messages."""
    dialogues = [dialogue.messages for dialogue in read_dialogues(messages, pa.nulls(len(messages), pa.string()))]
    for row in rows:
        dialogues[row] = [
            message._replace(
                content=mask(message.content, entities)[0],
                reasoning=mask(message.reasoning, entities)[0],
                tool_calls=_mask_json(message.tool_calls, entities),
                other=_mask_json(message.other, entities),
            )
            for message in dialogues[row]
        ]
    return message_columns(dialogues), {row: spoken_text(dialogues[row]) for row in rows if dialogues[row]}


def _mask_json(text: str, entities: tuple[Entity, ...]) -> str:
    """JSON with personal data in its strings and numbers masked; what was masked is a string then."""

    def walk(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: walk(each) for name, each in value.items()}
        if isinstance(value, list):
            return [walk(each) for each in value]
        if value is None or isinstance(value, bool):
            return value
        found, counts = mask(str(value), entities)
        return found if any(counts.values()) else value

    return json.dumps(walk(json.loads(text)), ensure_ascii=False) if text else ""
