"""The encoder of each knowledge base."""

import asyncio
from collections.abc import Sequence
from concurrent.futures import Executor
from functools import cached_property

from sluice_api.objects.knowledge_base import Embedding
from sluice_retriever.domain.model import DENSE_DIMENSION, Chunk, ChunkVectors, QuestionVectors
from sluice_retriever.encoding.encoder import Encoder


class KnowledgeBaseEncoder:
    """Encodes for one knowledge base."""

    def __init__(self, encoder: Encoder, question_threads: Executor, ingestion_threads: Executor) -> None:
        self._encoder = encoder
        self._question_threads = question_threads
        self._ingestion_threads = ingestion_threads
        self.model_digest = encoder.model_digest
        self.dense_dimension = DENSE_DIMENSION

    async def question(self, text: str, *, dense_only: bool = False) -> QuestionVectors:
        """The vectors of a question."""
        return await asyncio.get_running_loop().run_in_executor(
            self._question_threads, lambda: self._encoder.question(text, dense_only=dense_only)
        )

    async def chunks(self, chunks: Sequence[tuple[str, Chunk]]) -> list[ChunkVectors]:
        """The vectors of chunks, each with the context line that is encoded before its text."""
        return await asyncio.get_running_loop().run_in_executor(
            self._ingestion_threads, self._encoder.chunks, chunks
        )


class Encoders:
    """All encoders, each loaded once."""

    def __init__(self, threads: int, question_threads: Executor, ingestion_threads: Executor) -> None:
        self._threads = threads
        self._question_threads = question_threads
        self._ingestion_threads = ingestion_threads

    @cached_property
    def _builtin(self) -> KnowledgeBaseEncoder:
        return KnowledgeBaseEncoder(Encoder(self._threads), self._question_threads, self._ingestion_threads)

    def of(self, embedding: Embedding) -> KnowledgeBaseEncoder:
        """The encoder that a knowledge base names."""
        return self._builtin
