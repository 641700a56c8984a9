"""Dialogues rendered, encoded and masked, in turn by this project and by transformers' chat template.

    python -m benchmarks.chat --tokenizer out/demo/tokenizer/tokenizer.json --instructions ../shared/data/instructions

Both give the same ids and mask, which is checked. One thread; medians of CPU time. The peer is `apply_chat_template`
with `return_assistant_tokens_mask`, one dialogue at a time, as its users call it, and many at once.
"""

import argparse
import json
import os
import pathlib
import statistics
import tempfile
import time
from collections.abc import Callable
from typing import Any

os.environ["TOKENIZERS_PARALLELISM"] = "false"
os.environ["RAYON_NUM_THREADS"] = "1"

import pyarrow as pa
from transformers import AutoTokenizer

from datapipe.mix.chat import RenderDialogues
from datapipe.mix.chat_tokens import NO_LOSS, EncodeDialogues
from datapipe.read.dialogues import Unreadable, parse_dialogue
from datapipe.read.formats import Reject, Source, format_of, read
from datapipe.store import files
from datapipe.text.chat_forms import FORMS
from datapipe.text.dialogues import Message, message_columns
from tokenizer_training.chat_template import chat_template
from tokenizer_training.export import export_transformers
from tokenizer_training.formats import read_tokenizer

BATCH = 1024


def dialogues_of(folder: str, limit: int) -> list[list[Message]]:
    """The dialogues of some files of records."""
    found = []
    for path in [file.path for file in files.find(folder)]:
        for row in read(Source(path, path), format_of(path) or "jsonl"):
            parsed = None if isinstance(row, Reject) else parse_dialogue(row.columns)
            # What spells a control token differs on purpose.
            if (
                parsed
                and not isinstance(parsed, Unreadable)
                and not any(token in m.content for m in parsed.messages for token in FORMS["chatml"].control_tokens)
            ):
                found.append(parsed.messages)
    return found[:limit]


def main() -> None:
    """Measure in turn and print the ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tokenizer", required=True, help="a tokenizer.json with ChatML's special tokens")
    parser.add_argument("--instructions", required=True, help="a folder of instruction records")
    parser.add_argument("--dialogues", type=int, default=2000, help="how many (default: 2000)")
    parser.add_argument("--rounds", type=int, default=5, help="(default: 5)")
    arguments = parser.parse_args()
    dialogues = dialogues_of(arguments.instructions, arguments.dialogues)
    form = FORMS["chatml"]
    conversations = [[{"role": m.role, "content": m.content} for m in messages] for messages in dialogues]
    columns = {
        "text": pa.array([""] * len(dialogues)),
        "messages": message_columns(dialogues),
        "tools": pa.nulls(len(dialogues), pa.string()),
    }
    batches = pa.table(columns).to_batches(max_chunksize=BATCH)
    with tempfile.TemporaryDirectory() as folder:
        template = chat_template(form, "answers", form.default_system)
        export_transformers(read_tokenizer(arguments.tokenizer), folder, template)
        theirs = AutoTokenizer.from_pretrained(folder)
        path = str(pathlib.Path(folder) / "tokenizer.json")
        chat, encode = RenderDialogues(), EncodeDialogues(path)

        def ours() -> list[pa.RecordBatch]:
            return [encode.process(chat.process(batch)) for batch in batches]

        masked: dict[str, Any] = {"return_assistant_tokens_mask": True, "return_dict": True}

        def one_by_one() -> list[Any]:
            return [theirs.apply_chat_template(conversation, **masked) for conversation in conversations]

        def at_once() -> Any:
            return theirs.apply_chat_template(conversations, **masked)

        rows = [row for batch in ours() for row in batch.to_pylist()]
        for row, peer in zip(rows, one_by_one(), strict=True):
            assert row["input_ids"] == peer["input_ids"]
            assert [label != NO_LOSS for label in row["labels"]] == [bool(mask) for mask in peer["assistant_masks"]]
        runs: dict[str, Callable[[], Any]] = {"datapipe": ours, "one by one": one_by_one, "many at once": at_once}
        seconds: dict[str, list[float]] = {name: [] for name in runs}
        for _ in range(arguments.rounds):
            for name, run in runs.items():
                start = time.process_time()
                run()
                seconds[name].append(time.process_time() - start)
    tokens = sum(len(row["input_ids"]) for row in rows)
    print(f"{len(dialogues):,} dialogues, {tokens:,} tokens; the same ids and masks; {json.dumps(seconds)}")
    median = {name: statistics.median(taken) for name, taken in seconds.items()}
    for name, taken in median.items():
        ratio = taken / median["datapipe"]
        print(f"{name:14} {len(dialogues) / taken:10,.0f} dialogues/s  {ratio:6.1f} times datapipe's time")


if __name__ == "__main__":
    main()
