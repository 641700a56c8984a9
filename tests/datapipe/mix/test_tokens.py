"""Token counts are those of the tokenizer given."""

import json
import pathlib

import pyarrow as pa
from tokenizers import Tokenizer

from datapipe.mix.tokens import CountTokens
from tests.tokenizer_training.samples import trained


def test_counts_are_the_tokenizers(tmp_path: pathlib.Path) -> None:
    texts = ["the cat sat", "<|im_start|>user\nthe cat<|im_end|>\n", "中文分词，１２３", "", None]
    batch = pa.record_batch({"text": pa.array(texts)})
    for algorithm in ("byte_level", "byte_fallback"):
        path = tmp_path / "tokenizer.json"  # that of the first is overwritten by the second
        path.write_text(json.dumps(trained(algorithm)))
        (counted,) = [batch] | CountTokens(str(path))
        tokenizer = Tokenizer.from_file(str(path))
        assert counted.schema.names == ["text", "tokens"]
        assert counted.column("tokens").to_pylist() == [len(tokenizer.encode(text or "").ids) for text in texts]
        assert CountTokens(str(path)).process(batch).schema == CountTokens.writes
