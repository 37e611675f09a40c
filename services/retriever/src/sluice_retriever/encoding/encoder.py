"""all-MiniLM-L6-v2 on ONNX Runtime: sentence, token and in-context sentence vectors from one pass."""

import itertools
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from tokenizers import Encoding

from sluice_minilm.batching import batches
from sluice_minilm.model import MiniLm, normalised
from sluice_minilm.token_vectors import TokenProjection
from sluice_minilm.tokenizing import load_tokenizer
from sluice_retriever.domain.model import (
    DENSE_DIMENSION,
    TOKEN_DIMENSION,
    Chunk,
    ChunkVectors,
    Floats,
    QuestionVectors,
    TokenIds,
)

#: Padded tokens in one forward pass of many texts: what fits into a core's cache is a fifth faster than 4096.
BATCH_TOKENS = 512

#: More of a question is not tokenised: the model would read none of it.
MAX_QUESTION_CHARACTERS = 16_384


def encoded_text(context: str, chunk: Chunk) -> str:
    """What a model reads of a chunk."""
    return f"{context}\n{chunk.text}" if context else chunk.text


class Encoder:
    """Texts to vectors. Thread-safe; the interpreter's lock is free while the model runs.

    Args:
        threads: Chunks are encoded on so many threads, a pass each: passes that share threads would wait for one
            another. A question takes the caller's.
    """

    def __init__(self, threads: int = 1) -> None:
        self._model = MiniLm()
        self._projection = TokenProjection(self._model)
        self._tokenizer = load_tokenizer(truncate=True)
        self._threads = ThreadPoolExecutor(threads, "encoding")
        self.model_digest = self._projection.model_digest
        """SHA-256 over the model and the token projection: vectors are comparable only within it."""

    def question(self, text: str, *, dense_only: bool = False) -> QuestionVectors:
        """The vectors of a question."""
        encoding = self._tokenizer.encode(text[:MAX_QUESTION_CHARACTERS])
        states = self._model.states([encoding])[0]
        sentence = normalised(states.mean(axis=0))
        if dense_only:
            none = np.empty((0, TOKEN_DIMENSION), np.float32)
            return QuestionVectors(self.model_digest, sentence, none, np.empty(0, np.uint32), sentence)
        tokens, ids = self._projection.of(states), _token_ids(encoding)
        return QuestionVectors(self.model_digest, sentence, tokens, ids, sentence)

    def chunks(self, chunks: Sequence[tuple[str, Chunk]]) -> list[ChunkVectors]:
        """The vectors of chunks, each with the context line that is encoded before its text."""
        texts = [encoded_text(context, chunk) for context, chunk in chunks]
        encodings = self._tokenizer.encode_batch(texts)

        def encode(batch: Sequence[int]) -> list[tuple[int, ChunkVectors]]:
            states = self._model.states([encodings[index] for index in batch])
            offsets = [len(texts[index]) - len(chunks[index][1].text) for index in batch]
            return [
                (index, self._chunk_vectors(encodings[index], rows, chunks[index][1], offset))
                for index, rows, offset in zip(batch, states, offsets, strict=True)
            ]

        lengths = [len(encoding.ids) for encoding in encodings]
        encoded = self._threads.map(encode, batches(lengths, BATCH_TOKENS))
        vectors = dict(itertools.chain.from_iterable(encoded))
        return [vectors[index] for index in range(len(chunks))]

    def sentences(self, texts: Sequence[str]) -> tuple[Floats, list[int]]:
        """The texts' vectors, shape (texts, 384), and their tokens, those beyond the model's limit too."""
        encodings = self._tokenizer.encode_batch([text[:MAX_QUESTION_CHARACTERS] for text in texts])

        def encode(batch: Sequence[int]) -> list[tuple[int, Floats]]:
            states = self._model.states([encodings[index] for index in batch])
            return [(index, rows.mean(axis=0)) for index, rows in zip(batch, states, strict=True)]

        encoded = self._threads.map(encode, batches([len(each.ids) for each in encodings], BATCH_TOKENS))
        vectors = dict(itertools.chain.from_iterable(encoded))
        rows: Floats = normalised(np.stack([vectors[index] for index in range(len(texts))]))
        return rows, [_token_count(encoding) for encoding in encodings]

    def token_counts(self, texts: Sequence[str]) -> list[int]:
        """Tokens of each text, those beyond the model's limit too."""
        encodings = self._tokenizer.encode_batch([text[:MAX_QUESTION_CHARACTERS] for text in texts])
        return [_token_count(encoding) for encoding in encodings]

    def token_states(self, texts: Sequence[str]) -> list[Floats]:
        """Unprojected, normalised token vectors; for training the projection."""
        return [
            normalised(states[1:-1])
            for states in self._model.states(self._tokenizer.encode_batch(list(texts)))
        ]

    def _chunk_vectors(self, encoding: Encoding, states: Floats, chunk: Chunk, offset: int) -> ChunkVectors:
        dense = normalised(states.mean(axis=0))
        starts = np.array([start for start, _ in encoding.offsets])
        sentences = np.empty((len(chunk.sentences), DENSE_DIMENSION), np.float32)
        for row, span in enumerate(chunk.sentences):
            inside = (starts >= span.start + offset) & (starts < span.end + offset)
            inside[0] = inside[-1] = False  # [CLS] and [SEP] carry offset 0
            # A sentence past the model's limit has no tokens of its own; the chunk speaks for it.
            sentences[row] = normalised(states[inside].mean(axis=0)) if inside.any() else dense
        return ChunkVectors(dense, self._projection.of(states), sentences, _token_ids(encoding))


def _token_ids(encoding: Encoding) -> TokenIds:
    return np.array(encoding.ids[1:-1], np.uint32)


def _token_count(encoding: Encoding) -> int:
    return sum(len(part.ids) - 2 for part in (encoding, *encoding.overflowing))  # without [CLS] and [SEP]
