"""A vector for each document, so that documents can be compared and grouped by direction.

The other levels of deduplication ask whether two texts share hashes; this one asks how near they lie, and so also
serves to group a corpus by subject (`upsampling.py`). It only measures: `semantic_duplicates.py` decides.

The default model needs no download. It hashes words, and for scripts written without spaces characters and pairs of
them, into 2^18 buckets, weighs them by how rare they are in this corpus, and folds the buckets into 256 dimensions with
random signs (Weinberger et al. 2009). It is lexical: it sees shared words, in any order, in any language, whatever was
inserted, deleted or moved; it sees no paraphrase, no synonym and no translation, and word order only through pairs of
Chinese characters. Where meaning counts, name a sentence-transformers model. `benchmarks/embeddings.py` measures both.
"""

import dataclasses
import functools
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar, Literal, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from datapipe.checks import Count, FilesOption, Seed
from datapipe.dedup.exchanged_words import WORDS_COLUMN, common_words
from datapipe.extras import check_extra, load_extra
from datapipe.flow.spread import pieces_of
from datapipe.kernels import helper, inlined, kernel
from datapipe.stage import DocumentStage, write_notes
from datapipe.store import files
from datapipe.store.by_content import made_by_content
from datapipe.store.corpus import Corpus, Part
from datapipe.text.bit_mixing import golden_fold, murmur64, seeded_hash, uniform_draw
from datapipe.text.characters import decode, text_buffers
from datapipe.text.shingles import BASE, IN_WORD, MODIFIER, SEPARATOR, WHOLE, extend_token, token_table

HASHED_NGRAMS = "hashed_ngrams"
LIMITS = (
    f"{HASHED_NGRAMS} sees which words two documents share, in any order, and no paraphrase, synonym or translation; "
    "where meaning counts, name a model of sentence-transformers"
)
# Edited copies against the nearest other page, 1,500 pages: AUC .996 en, .972 zh; with 512 dimensions .996, .975. A
# truncated SVD of the same features to 256, fitted on other pages: .987, .966, and LCQMC .61 instead of .73.
HASHED_DIMENSIONS = 256
BUCKET_BITS = 18  # 2^20 buckets changed no figure of benchmarks/embeddings.py; these fit in a core's cache
SAMPLE = 20_000  # documents; the weight of a bucket in one document of 1,000 is then known within 22 %


@inlined
def _add(token: np.uint64, counts: npt.NDArray[np.int32], touched: npt.NDArray[np.int64], distinct: int) -> int:
    bucket = np.int64(murmur64(token) >> np.uint64(64 - BUCKET_BITS))
    if counts[bucket] == 0:
        touched[distinct] = bucket
        distinct += 1
    counts[bucket] += 1
    return distinct


@helper
def _count(
    text: npt.NDArray[np.uint8],
    table: npt.NDArray[np.int32],
    counts: npt.NDArray[np.int32],
    touched: npt.NDArray[np.int64],
) -> int:
    """Add a document's tokens to `counts`, list the buckets that were 0 in `touched`, and return how many those are."""
    distinct = 0
    token = np.uint64(0)
    before = np.uint64(0)  # the character right before this token; 0 = none
    state = SEPARATOR
    at = 0
    while at <= len(text):
        entry = SEPARATOR  # also past the end, which completes the last token
        if at < len(text):
            code_point, at = decode(text, at)
            entry = table[code_point]
        else:
            at += 1
        kind = entry & 3
        goes_on = (kind == IN_WORD and state == IN_WORD) or (kind == MODIFIER and state != SEPARATOR)
        if not goes_on:
            if state != SEPARATOR:
                distinct = _add(token, counts, touched, distinct)
            if state == WHOLE and before:
                distinct = _add(before * BASE + token, counts, touched, distinct)
            before = token if state == WHOLE else np.uint64(0)
            token = np.uint64(0)
            state = IN_WORD if kind == MODIFIER else kind
        if kind != SEPARATOR:
            token = extend_token(token, entry)
    return distinct


@kernel
def document_frequencies(
    data: npt.NDArray[np.uint8], bounds: npt.NDArray[np.int64], table: npt.NDArray[np.int32]
) -> npt.NDArray[np.int64]:
    """In how many documents each bucket occurs, shape (2^BUCKET_BITS,)."""
    frequencies = np.zeros(1 << BUCKET_BITS, np.int64)
    counts = np.zeros(1 << BUCKET_BITS, np.int32)
    touched = np.empty(1 << BUCKET_BITS, np.int64)
    for document in range(len(bounds) - 1):
        distinct = _count(data[bounds[document] : bounds[document + 1]], table, counts, touched)
        for bucket in touched[:distinct]:
            frequencies[bucket] += 1
            counts[bucket] = 0
    return frequencies


@kernel
def embed(
    data: npt.NDArray[np.uint8],
    bounds: npt.NDArray[np.int64],
    table: npt.NDArray[np.int32],
    weights: npt.NDArray[np.float32],
    dimensions: int,
) -> npt.NDArray[np.float32]:
    """The hashed vector of each document, of length 1, shape (documents, dimensions); zeros where it has no token.

    A bucket that occurs n times adds (1 + ln n) x its weight, with its own sign, to its own dimension.

    Args:
        data, bounds: documents as UTF-8, see `text_buffers`.
        table: `datapipe.text.shingles.token_table()`.
        weights: of each bucket, shape (2^BUCKET_BITS,).
    """
    vectors = np.zeros((len(bounds) - 1, dimensions), np.float32)
    counts = np.zeros(1 << BUCKET_BITS, np.int32)
    touched = np.empty(1 << BUCKET_BITS, np.int64)
    for document in range(len(bounds) - 1):
        distinct = _count(data[bounds[document] : bounds[document + 1]], table, counts, touched)
        vector = vectors[document]
        for bucket in touched[:distinct]:
            weight = (np.float32(1) + np.log(np.float32(counts[bucket]))) * weights[bucket]
            counts[bucket] = 0
            mixed = golden_fold(np.uint64(bucket) + np.uint64(1))
            if mixed & np.uint64(1):
                weight = -weight
            vector[(mixed >> np.uint64(1)) % np.uint64(dimensions)] += weight
        squares = np.float32(0)
        for i in range(dimensions):
            squares += vector[i] * vector[i]
        length = np.float32(np.sqrt(squares))
        for i in range(dimensions if length > 0 else 0):
            vector[i] /= length
    return vectors


def rarity(frequencies: npt.NDArray[np.int64], documents: int) -> npt.NDArray[np.float32]:
    """The weight of each bucket from its document frequency: the square root of its smoothed IDF, always above 0.

    The root, because plain IDF lets the pairs of Chinese characters that an edit makes up outweigh those that it left:
    by the measure at `HASHED_DIMENSIONS` .964 zh. No IDF at all gives .980 zh, but .992 en, and LCQMC .715.
    """
    return np.sqrt(np.log((documents + 1) / (frequencies + 0.5))).astype(np.float32)


def sample_rows(parts: Sequence[Part], columns: Sequence[str], rows: int, seed: int) -> Iterator[pa.RecordBatch]:
    """Batches of about `rows` of the kept rows (all, if there are no more), with `columns` and `id`, in order of id.

    Which rows is decided by a hash of id and seed. Of a large corpus only some parts are opened, enough to hold 4 times
    the rows wanted.
    """
    chosen, share = sampled_parts(parts, rows, seed)
    for part in chosen:
        yield from sample_part(part, columns, share, seed)


def sampled_parts(parts: Sequence[Part], rows: int, seed: int) -> tuple[list[Part], float]:
    """The parts that `sample_rows` opens, in order, and which share of their rows it takes."""
    numbers = np.array([part.number for part in parts], np.uint64)
    chosen: list[Part] = []
    available = 0
    for index in np.argsort(seeded_hash(numbers, seed)):
        if available >= 4 * rows:
            break
        chosen.append(parts[index])
        available += int(parts[index].kept().sum())
    return sorted(chosen, key=lambda part: part.number), rows / max(available, 1)


def sample_part(part: Part, columns: Sequence[str], share: float, seed: int) -> Iterator[pa.RecordBatch]:
    """Batches of about that share of a part's kept rows, as `sample_rows` takes them."""
    for batch in part.read(columns):
        taken = uniform_draw(batch.column("id").to_numpy(), seed) < share
        yield batch.filter(pa.array(taken))


def vector_column(vectors: npt.NDArray[np.float32]) -> pa.Array:
    """Vectors, shape (n, dimensions), as a column of half floats; null where a vector is all zeros.

    >>> vector_column(np.array([[3, 4], [0, 0]], np.float32)).to_pylist()
    [[3.0, 4.0], None]
    """
    values = pa.array(vectors.astype(np.float16).ravel())
    bounds = pa.array(np.arange(len(vectors) + 1, dtype=np.int32) * vectors.shape[1])
    return pa.ListArray.from_arrays(bounds, values, mask=pa.array(~vectors.any(axis=1)))


def read_vectors(column: pa.ListArray) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_]]:
    """The vectors of a column that are not null, brought to length 1, (n, dimensions), and which rows those are.

    Where all are null, the dimensions are unknown: shape (0, 0).

    >>> vectors, valid = read_vectors(pa.array([[3, 4], None], pa.list_(pa.float16())))
    >>> vectors.astype(np.float16).tolist(), valid.tolist()
    ([[0.60009765625, 0.7998046875]], [True, False])
    """
    valid = column.is_valid().to_numpy(zero_copy_only=False)
    count = int(valid.sum())
    vectors = column.flatten().to_numpy(zero_copy_only=False).astype(np.float32).reshape(count, -1 if count else 0)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True), valid


@functools.cache
def _even_weights() -> npt.NDArray[np.float32]:
    return np.ones(1 << BUCKET_BITS, np.float32)


@made_by_content
def _weights(path: str) -> npt.NDArray[np.float32]:
    with files.open_columns(path) as source:
        return pq.read_table(source).column("weight").to_numpy()


@made_by_content
def load_model(model: str, device: str | None, precision: str, max_tokens: int | None, dimensions: int | None) -> Any:
    """A `SentenceTransformer`, loaded once in a process; weights from safetensors only, no code from the model.

    Raises:
        MissingExtraError: if the packages that models need are not installed.
        ValueError: if there is no such model here, or it has no safetensors.
    """
    purpose = f"embeddings: model {model!r}"
    torch = load_extra("torch", "models", purpose)
    sentence_transformers = load_extra("sentence_transformers", "models", purpose)
    logging = load_extra("transformers.utils.logging", "models", purpose)
    logging.disable_progress_bar()
    try:
        loaded = sentence_transformers.SentenceTransformer(
            model,
            device=device,
            trust_remote_code=False,
            truncate_dim=dimensions,
            model_kwargs={"use_safetensors": True, "dtype": getattr(torch, precision)},
        )
    except (OSError, ValueError) as error:
        raise ValueError(
            f"embeddings: model {model!r} is neither a folder nor a cached or reachable sentence-transformers "
            f"model with safetensors weights; {HASHED_NGRAMS!r} needs none"
        ) from error
    if max_tokens is not None:
        loaded.max_seq_length = max_tokens
    return loaded


@dataclasses.dataclass(eq=False)
class EmbedDocuments(DocumentStage):
    """Give each document a vector of length 1: batches with `text` in, batches with `embeddings_vector` out.

    Beside it stand the commonest words, `embeddings_words`, by which `semantic_duplicates` tells pages of one template
    from versions of one page, whatever the model. The vector is null where the text holds nothing that the model sees.
    The default model learns from the corpus how rare each token is (`prepare`); used without, all tokens weigh the
    same.

    Attributes:
        model: `hashed_ngrams` (see the module), or the name or folder of a sentence-transformers model.
        model_sha256: what the SHA-256 of the `model.safetensors` in that folder must be, in hexadecimal; empty: not
            checked.
        dimensions: of a vector; none: 256 for `hashed_ngrams`, else all that the model has. Fewer keep the first ones,
            which suits models trained for it (Matryoshka).
        prompt: put before each text, where a model wants it ("query: " for E5); for models only.
        batch_size: texts at once; for models only.
        device: `cpu`, `cuda`, ...; none: a GPU if there is one; for models only.
        precision: of the model's weights, `float32`, `float16` or `bfloat16`; for models only.
        max_tokens: where a text is cut; none: the model's own limit; for models only.
        sample: documents that `prepare` learns from; for `hashed_ngrams` only.
        seed: which documents those are.
        weights: the file that `prepare` wrote.
    """

    model: FilesOption = HASHED_NGRAMS
    model_sha256: str = ""
    dimensions: Count | None = None
    prompt: str = ""
    batch_size: Count = 32
    device: str | None = None
    precision: Literal["float32", "float16", "bfloat16"] = "float32"
    max_tokens: Count | None = None
    sample: Count = SAMPLE
    seed: Seed = 0
    weights: str | None = dataclasses.field(default=None, init=False)

    name: ClassVar[str] = "embeddings"
    # A list of no fixed size: pyarrow 25 cannot read lists of fixed size back from Parquet where some are null.
    writes: ClassVar[pa.Schema] = pa.schema(
        [("embeddings_vector", pa.list_(pa.float16())), (WORDS_COLUMN, pa.binary())]
    )
    version: ClassVar[int] = 4

    def check(self) -> None:
        """The model is the one that is meant, and can be loaded here."""
        if self.model != HASHED_NGRAMS:
            check_extra("sentence_transformers", "models", f"embeddings: model {self.model!r}")
        if self.model_sha256:
            weights = files.join(self.model, "model.safetensors")
            if not files.exists(weights):
                raise ValueError(f"embeddings: model_sha256 needs a folder with model.safetensors, got {self.model!r}")
            files.check_sha256("embeddings: model", weights, self.model_sha256)

    def requires(self) -> tuple[str, ...]:
        """The columns that it needs."""
        return ("text",)

    def named_files(self) -> tuple[str, ...]:
        """The model, where it is one that lies somewhere."""
        return () if self.model == HASHED_NGRAMS else super().named_files()

    def _model(self) -> Any:
        return load_model(self.model, self.device, self.precision, self.max_tokens, self.dimensions)

    def learns_from_corpus(self) -> bool:
        """Whether the weights of tokens are learnt from a sample."""
        return self.model == HASHED_NGRAMS

    def prepare(self, corpus: Corpus, folder: str) -> Self:
        """Learn the weights of `hashed_ngrams` from a sample of the documents; for other models, load them once.

        Raises:
            ValueError: if the model is not there.
        """
        if self.model != HASHED_NGRAMS:
            self._model()
            return self
        frequencies = np.zeros(1 << BUCKET_BITS, np.int64)
        documents = 0
        parts, share = sampled_parts(corpus.of_kind(("document",)), self.sample, self.seed)
        pieces = (piece for part in parts for piece in pieces_of(part, corpus.threads))
        for of_piece, rows in corpus.each(lambda piece: self._frequencies(piece, share), pieces):
            frequencies += of_piece
            documents += rows
        write_notes(folder, [LIMITS])
        path = files.join(folder, "weights.parquet")
        files.write_table(path, pa.table({"weight": rarity(frequencies, documents)}))
        return self.ready(weights=path)

    def _frequencies(self, part: Part, share: float) -> tuple[npt.NDArray[np.int64], int]:
        """In how many documents of a sample of the part each bucket occurs, and how many those are."""
        frequencies = np.zeros(1 << BUCKET_BITS, np.int64)
        documents = 0
        for batch in sample_part(part, ["text"], share, self.seed):
            frequencies += document_frequencies(*text_buffers(batch.column("text")), token_table())
            documents += len(batch)
        return frequencies, documents

    def process(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """The vectors of a batch of texts."""
        texts = batch.column("text")
        if self.model == HASHED_NGRAMS:
            dimensions = self.dimensions or HASHED_DIMENSIONS
            weights = _weights(self.weights) if self.weights else _even_weights()
            vectors = embed(*text_buffers(texts), token_table(), weights, dimensions)
        else:
            vectors = self._encode([text or "" for text in texts.to_pylist()])
        return pa.record_batch([vector_column(vectors), common_words(texts)], schema=self.writes)

    def _encode(self, texts: list[str]) -> npt.NDArray[np.float32]:
        vectors = np.zeros((len(texts), self._model().get_embedding_dimension()), np.float32)
        filled = [row for row, text in enumerate(texts) if text.strip()]
        if filled:
            vectors[filled] = self._model().encode(
                [self.prompt + texts[row] for row in filled],
                batch_size=self.batch_size,
                normalize_embeddings=True,
                show_progress_bar=False,
            )
        return vectors
