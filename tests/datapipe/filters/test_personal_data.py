"""What is personal data, what only looks so, and what stands in its place."""

import json
import pathlib

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datapipe.filters.personal_data import Entity, MaskPersonalData, is_chinese_id, mask
from datapipe.text.dialogues import Message, message_columns, read_dialogues, spoken_text
from tests.datapipe.filters.personal_data_cases import ADDRESSES, NO_ADDRESSES, NO_PHONES, PHONES
from tests.helpers import run_recipe, write_lines

ALL: tuple[Entity, ...] = ("email", "ip", "chinese_id", "phone", "bank_card", "iban", "secret")


@pytest.mark.parametrize(
    ("text", "masked", "kind"),
    [
        ("write to jo.doe+x@mail.firm.co.uk.", "write to email@example.com.", "email"),
        ("邮箱：zhang_san@qq.com，谢谢", "邮箱：email@example.com，谢谢", "email"),
        ("keys/jo@firm.com.gpg", "keys/email@example.com.gpg", "email"),
        ("<mailto:a@b.org>", "<mailto:email@example.com>", "email"),
        ("from 93.184.216.34:53", "from 192.0.2.1:53", "ip"),
        ("from 1.2.3.32, not 1.2.3.31", "from 192.0.2.1, not 1.2.3.31", "ip"),
        ("ping 2606:4700:4700::1111 now", "ping 2001:db8::1 now", "ip"),
        ("call +44 20 7946 0958 today", "call [PHONE] today", "phone"),
        ("call (212) 555-0142.", "call [PHONE].", "phone"),
        ("call 1-212-555-0142 or", "call [PHONE] or", "phone"),
        ("tel:+12125550142", "tel:[PHONE]", "phone"),
        ("ring +33 1 42 68 53 00", "ring [PHONE]", "phone"),
        ("电话(010)62345678", "电话[PHONE]", "phone"),
        ("手机 0086 138-1234-5678", "手机 [PHONE]", "phone"),
        ("write to a@b.org(work)", "write to email@example.com(work)", "email"),
        ("https://user:pw@host.net/x", "https://user:email@example.com/x", "email"),
        ("手机13812345678联系", "手机[PHONE]联系", "phone"),
        ("手机 138 1234 5678", "手机 [PHONE]", "phone"),
        ("电话：010-62345678转3", "电话：[PHONE]转3", "phone"),
        ("身份证11010519491231002X。", "身份证[ID]。", "chinese_id"),
        ("１１０１０５１９４９１２３１００２Ｘ", "[ID]", "chinese_id"),
        ("no. 110105 19491231 002X", "no. [ID]", "chinese_id"),
        ("an jörg@bücher.de", "an email@example.com", "email"),
        ("пишите:иван@почта.рф", "пишите:email@example.com", "email"),
        ("发到zhaoming＠qq.com联系", "发到email@example.com联系", "email"),
        ('"anna lee"@mail.org', "email@example.com", "email"),
        ("to pat.o'neil@mail.org.", "to email@example.com.", "email"),
        ("ip 114.114.114.114", "ip 192.0.2.1", "ip"),
        ("card 4111 1111 1111 1111", "card [CARD]", "bank_card"),
        ("卡号6222020000000000000。", "卡号[CARD]。", "bank_card"),
        ("amex 3782 822463 10005", "amex [CARD]", "bank_card"),
        ("to DE89 3704 0044 0532 0130 00, please", "to [IBAN], please", "iban"),
        ("GB82WEST12345698765432", "[IBAN]", "iban"),
        ("key AKIAIOSFODNN7EXAMPLE", "key [SECRET]", "secret"),
        ("ghp_" + "a1B2" * 9, "[SECRET]", "secret"),
        (f'aws_secret_access_key = "{"aB3/" * 10}"', 'aws_secret_access_key = "[SECRET]"', "secret"),
        (f'{{"SecretAccessKey": "{"aB3+" * 10}"}}', '{"SecretAccessKey": "[SECRET]"}', "secret"),
        (
            "-----BEGIN RSA PRIVATE KEY-----\nMIIBOgIBAAJBAKj34GkxFhD9\n-----END RSA PRIVATE KEY-----\n",
            "[SECRET]\n",
            "secret",
        ),
    ],
)
def test_masks_each_kind(text: str, masked: str, kind: Entity) -> None:
    assert mask(text, ALL) == (masked, {**dict.fromkeys(ALL, 0), kind: 1})
    assert mask(text, tuple(other for other in ALL if other != kind))[0] == text


@pytest.mark.parametrize(
    "text",
    [
        "@property and user@localhost, git@github.com:a/b.git, icon@2x.png, a@b.reshape(2), me@example.com, x@y.test",
        "getty@tty1.service, user@1000.service, vmail@firm.lan, pi@raspberrypi.local, x@domain.tld, a@b.txt, a@b.jpg",
        "192.168.1.1, 127.0.0.1, 10.0.0.8, 192.0.2.1, 256.1.1.1, version 1.2.3.4.5",
        "std::vector, a::b, 12:30:45, fe80::1, ::1, 2001:db8::1",
        "version 1.2.3.4, v11.2.0.4, 3.2.1.4 Overview, x==1.12.0.3, app-1.2.3.4.jar, 2.5.29.15",
        "v93.184.216.34, 224.0.0.251",
        "+2023-10-05, +1000000000, +1 000 000 000, +999 123 456 789, 15000000000 bytes, $13912345678, ¥13912345678",
        "http://a.cn/u/13812345678, ?id=13812345678, user_13812345678, 300-100-5000, 050 12345678, 1,381,234,567",
        "in 2023-2024, pages 100-200, 3.14159265358979, 20230512, ISBN 978-7-02-000220-7",
        "110105194912310021 has a wrong check digit, 110105194913310029 a wrong month",
        "990105194912310023 is of no province, 110105294912310028 not born yet",
        "id a13812345678 and 0.13812345678",
        "y = x@W.sum(axis=1) + b@c.mean(), foo@Override.class, root@server.internal.lan, @types/node@18.0.0",
        "4111 1111 1111 1112, 1111111111111111, 4111.1111.1111.1111",
        "DE88 3704 0044 0532 0130 00, AB12 3456 7890, BEGIN PRIVATE KEY, AKIA is a prefix",
    ],
)
def test_leaves_what_only_looks_so(text: str) -> None:
    assert mask(text, ALL)[0] == text


def test_the_check_digit_of_a_chinese_identity_number() -> None:
    numbers = [f"1101051949123100{last}" for last in (f"2{digit}" for digit in "0123456789X")]
    assert [number for number in numbers if is_chinese_id(number)] == ["11010519491231002X"]


def test_a_batch_keeps_its_rows_and_counts() -> None:
    texts = pa.array(["x", "none here", None, "a@b.org and c@d.org", "93.184.216.34"])
    batch = pa.RecordBatch.from_arrays([texts], ["text"]).slice(1)
    (masked,) = [batch] | MaskPersonalData()
    assert masked.column("text").to_pylist() == [
        "none here", None, "email@example.com and email@example.com", "192.0.2.1"]  # fmt: skip
    assert masked.column("masked_email").to_pylist() == [0, 0, 2, 0]
    assert masked.column("masked_ip").to_pylist() == [0, 0, 0, 1]
    assert masked.column("bytes").to_pylist() == [9, None, 39, 9]
    (chinese,) = [pa.record_batch({"text": ["邮箱 a@b.org"]})] | MaskPersonalData()
    assert chinese.column("bytes").to_pylist() == [len("邮箱 email@example.com".encode())]
    only = MaskPersonalData(mask=["ip"]).process(batch)
    assert only.column("text").to_pylist() == ["none here", None, "a@b.org and c@d.org", "192.0.2.1"]
    assert MaskPersonalData(mask=[]).process(batch).column("text").equals(batch.column("text"))


PIECES = st.sampled_from(
    [
        "+33 1 42 68 53 00",
        "a@b.org",
        "93.184.216.34",
        "13812345678",
        "11010519491231002X",
        "2606:4700::1",
        "4111 1111 1111 1111",
        "GB82WEST12345698765432",
        "AKIAIOSFODNN7EXAMPLE",
        "电话：",
        "5550147",
        "１３８",
        "x",
        " ",
        "，",
        ".",
        "1",
    ]
)


@given(st.lists(PIECES | st.text(max_size=3), max_size=12).map("".join))
def test_the_traces_miss_nothing(text: str) -> None:
    batch = pa.RecordBatch.from_pydict({"text": [text]})
    assert MaskPersonalData().process(batch).column("text")[0].as_py() == mask(text, ALL)[0]


def test_a_run_masks_what_it_writes(tmp_path: pathlib.Path) -> None:
    folder = tmp_path / "documents"
    folder.mkdir()
    texts = [f"Document {number}: write to a{number}@b.org or call +33 1 42 68 53 00." for number in range(3)]
    write_lines(folder / "a.jsonl", ({"text": text} for text in texts))
    run_recipe("stages: [documents, personal_data: {mask: [email]}, shards]", tmp_path, [str(folder)])
    (shard,) = (tmp_path / "out" / "shards").glob("*.parquet")
    written = sorted(pq.read_table(shard).column("text").to_pylist())
    assert written == [text.replace(f"a{n}@b.org", "email@example.com") for n, text in enumerate(texts)]
    counts = pq.read_table(tmp_path / "out" / "personal_data" / "part-00000.parquet")
    assert counts.column("masked_email").to_pylist() == [1, 1, 1]


def masked_of(texts: list[str], kind: Entity) -> list[str]:
    return [text for text in texts if mask(f"see {text} there", ALL)[1][kind]]


def test_phone_numbers_of_the_world_and_what_looks_like_them() -> None:
    assert len(PHONES) + len(NO_PHONES) >= 200
    right, wrong = masked_of(PHONES, "phone"), masked_of(NO_PHONES, "phone")
    assert len(right) >= 0.9 * len(PHONES), sorted(set(PHONES) - set(right))
    assert len(right) >= 0.97 * (len(right) + len(wrong)), wrong


def test_addresses_and_what_looks_like_them() -> None:
    assert masked_of(ADDRESSES, "ip") == ADDRESSES
    assert len(masked_of(NO_ADDRESSES, "ip")) <= 0.05 * len(NO_ADDRESSES)


def test_two_numbers_side_by_side() -> None:
    assert mask("13812345678/13912345678, 13812345678,13912345678", ALL)[1]["phone"] == 4


def test_an_unknown_kind_is_an_error() -> None:
    with pytest.raises(ValueError, match="got 'passport'"):
        MaskPersonalData(mask=["passport"])  # type: ignore[list-item]


def test_messages_are_masked_as_what_they_say() -> None:
    call = '[{"name": "dial", "arguments": {"to": "+33 1 42 68 53 00", "from": 13812345678}}]'
    dialogues = [
        [Message("user", "I am a@b.org"), Message("assistant", "", tool_calls=call)],
        [Message("user", "Hello"), Message("assistant", "Hi")],
    ]
    texts = [spoken_text(messages) for messages in dialogues]
    batch = pa.RecordBatch.from_pydict({"text": texts, "messages": message_columns(dialogues)})
    masked = MaskPersonalData().process(batch)
    first, second = (each.messages for each in read_dialogues(masked.column("messages"), pa.nulls(2, pa.string())))
    assert first[0].content == "I am email@example.com"
    assert json.loads(first[1].tool_calls)[0]["arguments"] == {"to": "[PHONE]", "from": "[PHONE]"}
    assert second == dialogues[1]
    assert masked.column("text").to_pylist() == [spoken_text(first), texts[1]]
    assert masked.column("masked_phone").to_pylist() == [2, 0]
