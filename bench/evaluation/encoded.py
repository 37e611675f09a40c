"""Chunks' vectors, encoded once: another way to store them does not encode them again."""

import hashlib
import json
import sqlite3
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from sluice_minilm.tokenizing import load_tokenizer
from sluice_retriever.domain.model import (
    TOKEN_DIMENSION,
    Chunk,
    ChunkVectors,
    QuestionVectors,
    TokenIds,
)
from sluice_retriever.encoding.encoders import KnowledgeBaseEncoder

_SCHEMA = """
CREATE TABLE IF NOT EXISTS chunks (name BLOB PRIMARY KEY, dense BLOB, tokens BLOB, sentences BLOB) WITHOUT ROWID;
"""


class RememberingEncoder(KnowledgeBaseEncoder):
    """A knowledge base's encoder that keeps what it has encoded, by model and content.

    Tokens and sentences in half precision: they are stored in eight bits.
    """

    def __init__(self, encoder: KnowledgeBaseEncoder, path: Path) -> None:
        self._inner = encoder
        self.model_digest = encoder.model_digest
        self.dense_dimension = encoder.dense_dimension
        self._tokenizer = load_tokenizer(truncate=True)
        path.parent.mkdir(parents=True, exist_ok=True)
        self._db = sqlite3.connect(path, isolation_level=None)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=NORMAL")
        self._db.executescript(_SCHEMA)

    async def question(self, text: str, *, dense_only: bool = False) -> QuestionVectors:
        """The vectors of a question."""
        return await self._inner.question(text, dense_only=dense_only)

    async def chunks(self, chunks: Sequence[tuple[str, Chunk]]) -> list[ChunkVectors]:
        """The vectors of chunks, each with the context line that is encoded before its text."""
        names = [self._name(context, chunk) for context, chunk in chunks]
        missing = {name: chunk for name, chunk in zip(names, chunks, strict=True) if not self._has(name)}
        if missing:
            encoded = await self._inner.chunks(list(missing.values()))
            for name, vectors in zip(missing, encoded, strict=True):
                self._keep(name, vectors)
        # Read back, so that a first run stores what every other does.
        texts = [f"{context}\n{chunk.text}" if context else chunk.text for context, chunk in chunks]
        ids = [np.array(each.ids[1:-1], np.uint32) for each in self._tokenizer.encode_batch(texts)]
        return [self._kept(name, token_ids) for name, token_ids in zip(names, ids, strict=True)]

    def _has(self, name: bytes) -> bool:
        return self._db.execute("SELECT 1 FROM chunks WHERE name = ?", (name,)).fetchone() is not None

    def _name(self, context: str, chunk: Chunk) -> bytes:
        spans = [[span.start, span.end] for span in chunk.sentences]
        return hashlib.sha256(json.dumps([self.model_digest, context, chunk.text, spans]).encode()).digest()

    def _kept(self, name: bytes, token_ids: TokenIds) -> ChunkVectors:
        row = self._db.execute(
            "SELECT dense, tokens, sentences FROM chunks WHERE name = ?", (name,)
        ).fetchone()
        tokens, sentences = (np.frombuffer(blob, np.float16).astype(np.float32) for blob in row[1:])
        return ChunkVectors(
            np.frombuffer(row[0], np.float32),
            tokens.reshape(-1, TOKEN_DIMENSION),
            sentences.reshape(-1, self.dense_dimension),
            token_ids,
        )

    def _keep(self, name: bytes, vectors: ChunkVectors) -> None:
        halves = (part.astype(np.float16).tobytes() for part in (vectors.tokens, vectors.sentences))
        row = (name, vectors.dense.astype(np.float32).tobytes(), *halves)
        self._db.execute("INSERT OR REPLACE INTO chunks VALUES (?, ?, ?, ?)", row)
