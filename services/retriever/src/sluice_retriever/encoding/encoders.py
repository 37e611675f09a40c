"""The encoder of each knowledge base: dense vectors by the model it names, all else by the built-in one."""

import asyncio
import hashlib
import json
from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import replace
from functools import partial
from pathlib import Path

from sluice_api.objects.knowledge_base import Embedding
from sluice_retriever.domain.model import DENSE_DIMENSION, Chunk, ChunkVectors, Floats, QuestionVectors
from sluice_retriever.encoding.dense import DenseModel
from sluice_retriever.encoding.encoder import Encoder, encoded_text
from sluice_retriever.encoding.endpoint import Endpoint
from sluice_retriever.encoding.folder import FolderModel
from sluice_retriever.encoding.wire import OpenAIWire, TeiWire
from sluice_servicekit import secrets


class KnowledgeBaseEncoder:
    """Encodes for one knowledge base.

    Args:
        builtin: Makes token and sentence vectors, and the dense ones where there is no `dense`.
        dense: The model that the knowledge base names.
        question_threads: Where questions are encoded.
        ingestion_threads: Where chunks are.
    """

    def __init__(
        self,
        builtin: Encoder,
        dense: DenseModel | None,
        question_threads: Executor,
        ingestion_threads: Executor,
    ) -> None:
        self._builtin = builtin
        self._dense = dense
        self._question_threads = question_threads
        self._ingestion_threads = ingestion_threads
        self.model_digest = _digest(builtin, dense)
        """Names all that makes the vectors comparable."""
        self.dense_dimension = dense.dimension if dense else DENSE_DIMENSION

    async def question(self, text: str, *, dense_only: bool = False) -> QuestionVectors:
        """The vectors of a question.

        Raises:
            ServiceError: the knowledge base's model fails, or cannot be reached in time.
        """
        loop = asyncio.get_running_loop()
        encode = partial(self._builtin.question, text, dense_only=dense_only)
        builtin = loop.run_in_executor(self._question_threads, encode)
        if self._dense is None:
            return await builtin
        vectors, dense = await asyncio.gather(builtin, self._dense.question(text))
        return replace(vectors, model_digest=self.model_digest, dense=dense)

    async def texts(self, texts: Sequence[str], *, as_documents: bool) -> tuple[Floats, list[int]]:
        """The dense vectors of texts, shape (texts, dimension), and each text's tokens by the built-in model.

        Raises:
            ServiceError: the knowledge base's model fails, or cannot be reached.
        """
        loop = asyncio.get_running_loop()
        if self._dense is None:
            return await loop.run_in_executor(self._ingestion_threads, self._builtin.sentences, texts)
        counts = loop.run_in_executor(self._ingestion_threads, self._builtin.token_counts, texts)
        encode = self._dense.chunks if as_documents else self._dense.questions
        vectors, tokens = await asyncio.gather(encode(texts), counts)
        return vectors, tokens

    async def chunks(self, chunks: Sequence[tuple[str, Chunk]]) -> list[ChunkVectors]:
        """The vectors of chunks, each with the context line that is encoded before its text.

        Raises:
            ServiceError: the knowledge base's model fails, or cannot be reached.
        """
        loop = asyncio.get_running_loop()
        builtin = loop.run_in_executor(self._ingestion_threads, self._builtin.chunks, chunks)
        if self._dense is None or not chunks:
            return await builtin
        texts = [encoded_text(context, chunk) for context, chunk in chunks]
        vectors, dense = await asyncio.gather(builtin, self._dense.chunks(texts))
        return [replace(each, dense=row) for each, row in zip(vectors, dense, strict=True)]

    async def aclose(self) -> None:
        """Lets go of connections and threads."""
        if self._dense is not None:
            await self._dense.aclose()


class Encoders:
    """All encoders, each loaded once.

    Args:
        threads: Chunks are encoded on so many threads by each local model.
        question_threads: Where questions are encoded.
        ingestion_threads: Where chunks are.
        secrets_dir: Where endpoints' API keys are.
    """

    def __init__(
        self,
        threads: int,
        question_threads: Executor,
        ingestion_threads: Executor,
        secrets_dir: Path | None = None,
    ) -> None:
        self._threads = threads
        self._question_threads = question_threads
        self._ingestion_threads = ingestion_threads
        self._secrets_dir = secrets_dir
        self._builtin: Encoder | None = None
        self._encoders: dict[Embedding, KnowledgeBaseEncoder] = {}
        self._loading = asyncio.Lock()

    async def of(self, embedding: Embedding) -> KnowledgeBaseEncoder:
        """The encoder that a knowledge base names.

        Raises:
            FailedPrecondition: the model or the secret is not there, or cannot be used.
        """
        async with self._loading:
            if embedding not in self._encoders:
                self._encoders[embedding] = await asyncio.to_thread(self._load, embedding)
            return self._encoders[embedding]

    async def aclose(self) -> None:
        """Lets go of connections and threads."""
        for encoder in self._encoders.values():
            await encoder.aclose()

    def _load(self, embedding: Embedding) -> KnowledgeBaseEncoder:
        self._builtin = self._builtin or Encoder(self._threads)
        dense = self._dense(embedding)
        return KnowledgeBaseEncoder(self._builtin, dense, self._question_threads, self._ingestion_threads)

    def _dense(self, embedding: Embedding) -> DenseModel | None:
        if embedding.onnx is not None:
            threads = self._threads, self._question_threads, self._ingestion_threads
            return FolderModel(embedding.onnx, *threads)
        if (spec := embedding.open_ai) is not None:
            return Endpoint(spec, OpenAIWire(spec.model), self._key(spec.api_key_secret))
        if (tei := embedding.tei) is not None:
            return Endpoint(tei, TeiWire(), self._key(tei.api_key_secret))
        return None

    def _key(self, secret: str) -> str:
        return secrets.read(self._secrets_dir, secret, "the embedding")


def _digest(builtin: Encoder, dense: DenseModel | None) -> str:
    if dense is None:
        return builtin.model_digest
    identity = json.dumps([builtin.model_digest, dense.identity], sort_keys=True)
    return hashlib.sha256(identity.encode()).hexdigest()
