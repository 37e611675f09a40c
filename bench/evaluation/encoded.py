"""Chunks' vectors, encoded once: another way to store them does not encode them again."""

import hashlib
import json
import sqlite3
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from sluice_retriever.domain.model import (
    DENSE_DIMENSION,
    TOKEN_DIMENSION,
    Chunk,
    ChunkVectors,
    QuestionVectors,
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
        known = {name: vectors for name in names if (vectors := self._known(name)) is not None}
        missing = {name: chunk for name, chunk in zip(names, chunks, strict=True) if name not in known}
        if missing:
            for name, vectors in zip(missing, await self._inner.chunks(list(missing.values())), strict=True):
                known[name] = vectors
                self._keep(name, vectors)
        return [known[name] for name in names]

    def _name(self, context: str, chunk: Chunk) -> bytes:
        spans = [[span.start, span.end] for span in chunk.sentences]
        return hashlib.sha256(json.dumps([self.model_digest, context, chunk.text, spans]).encode()).digest()

    def _known(self, name: bytes) -> ChunkVectors | None:
        row = self._db.execute(
            "SELECT dense, tokens, sentences FROM chunks WHERE name = ?", (name,)
        ).fetchone()
        if row is None:
            return None
        tokens, sentences = (np.frombuffer(blob, np.float16).astype(np.float32) for blob in row[1:])
        return ChunkVectors(
            np.frombuffer(row[0], np.float32),
            tokens.reshape(-1, TOKEN_DIMENSION),
            sentences.reshape(-1, DENSE_DIMENSION),
        )

    def _keep(self, name: bytes, vectors: ChunkVectors) -> None:
        halves = (part.astype(np.float16).tobytes() for part in (vectors.tokens, vectors.sentences))
        row = (name, vectors.dense.astype(np.float32).tobytes(), *halves)
        self._db.execute("INSERT OR REPLACE INTO chunks VALUES (?, ?, ?, ?)", row)
