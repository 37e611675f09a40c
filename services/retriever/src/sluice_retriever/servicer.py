"""The retriever over gRPC. Converts, and groups an ingestion's stream; decides nothing else."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import aclosing
from enum import Enum, auto
from typing import Any

from sluice.retriever.v1 import retriever_pb2, retriever_pb2_grpc
from sluice_retriever import conversion
from sluice_retriever.domain.model import Outcome
from sluice_retriever.ingestion import Ingestion
from sluice_retriever.questions import Questions
from sluice_retriever.rebuilding import rebuild
from sluice_retriever.store.knowledge_bases import KnowledgeBases
from sluice_servicekit.errors import InvalidArgument

#: Documents that are encoded together, and bytes after which a group is full.
_GROUP_DOCUMENTS = 32
_GROUP_BYTES = 256 << 10

#: What a document counts that is still to be fetched: a group is held in memory, and each may be of the largest size.
_FETCHED_BYTES = 64 << 10

#: Documents on a page where the request names no number, and at most.
_PAGE, _MAX_PAGE = 100, 1000

_Request = retriever_pb2.IngestRequest


class RetrieverServicer(retriever_pb2_grpc.RetrieverServiceServicer):
    """`sluice.retriever.v1.RetrieverService`."""

    def __init__(self, questions: Questions, ingestion: Ingestion, knowledge_bases: KnowledgeBases) -> None:
        self._questions = questions
        self._ingestion = ingestion
        self._knowledge_bases = knowledge_bases

    async def Embed(self, request: retriever_pb2.EmbedRequest, context: Any) -> retriever_pb2.EmbedResponse:
        """Encodes a question."""
        vectors = await self._questions.embed(
            request.text, request.knowledge_base, dense_only=request.dense_only
        )
        return retriever_pb2.EmbedResponse(question_vectors=conversion.question_vectors_message(vectors))

    async def EmbedTexts(
        self, request: retriever_pb2.EmbedTextsRequest, context: Any
    ) -> retriever_pb2.EmbedTextsResponse:
        """Encodes texts."""
        encoded = await self._questions.embed_texts(
            list(request.texts), request.knowledge_base, as_documents=request.as_documents
        )
        return conversion.encoded_texts(encoded)

    async def Search(
        self, request: retriever_pb2.SearchRequest, context: Any
    ) -> retriever_pb2.SearchResponse:
        """Finds passages."""
        answer = await self._questions.search(conversion.search(request))
        return conversion.answer(answer, explain=request.explain)

    async def Ingest(
        self, request_iterator: AsyncIterator[_Request], context: Any
    ) -> AsyncIterator[retriever_pb2.IngestResponse]:
        """Stores documents."""
        async for group in _groups(request_iterator):
            tenant = conversion.reader(group[0].principal).tenant
            documents = [conversion.document(request.document) for request in group]
            asked = group[0]
            async with aclosing(
                self._ingestion.ingest(tenant, group[0].knowledge_base, documents)
            ) as results:
                async for result in results:
                    if result.outcome is not Outcome.IN_PROGRESS or asked.progress or asked.return_chunks:
                        yield conversion.ingested(result, chunks=asked.return_chunks)

    async def DeleteDocuments(
        self, request: retriever_pb2.DeleteDocumentsRequest, context: Any
    ) -> retriever_pb2.DeleteDocumentsResponse:
        """Removes documents."""
        tenant = conversion.reader(request.principal).tenant
        deleted = await self._ingestion.delete(tenant, request.knowledge_base, request.document_ids)
        return retriever_pb2.DeleteDocumentsResponse(deleted=deleted)

    async def ListDocuments(
        self, request: retriever_pb2.ListDocumentsRequest, context: Any
    ) -> retriever_pb2.ListDocumentsResponse:
        """Lists documents."""
        if request.page_size > _MAX_PAGE:
            raise InvalidArgument(
                f"page_size is {request.page_size}; it must be 0 to {_MAX_PAGE}", field="page_size"
            )
        size = request.page_size or _PAGE
        tenant = conversion.reader(request.principal).tenant
        page = await self._ingestion.list_documents(
            tenant, request.knowledge_base, request.prefix, request.page_token, size
        )
        return conversion.document_list(page, size)

    async def GetUsage(
        self, request: retriever_pb2.GetUsageRequest, context: Any
    ) -> retriever_pb2.GetUsageResponse:
        """Counts what a tenant holds."""
        usage = await self._ingestion.usage(
            conversion.reader(request.principal).tenant, request.knowledge_base
        )
        return retriever_pb2.GetUsageResponse(documents=usage.documents, chunks=usage.chunks)

    async def Rebuild(
        self, request: retriever_pb2.RebuildRequest, context: Any
    ) -> AsyncIterator[retriever_pb2.RebuildResponse]:
        """Builds a knowledge base anew."""
        conversion.reader(request.principal)
        async with aclosing(rebuild(self._knowledge_bases, request.knowledge_base)) as progress:
            async for state in progress:
                yield conversion.rebuilding(state)

    async def GetEpochs(
        self, request: retriever_pb2.GetEpochsRequest, context: Any
    ) -> retriever_pb2.GetEpochsResponse:
        """Tells where a tenant's writes stand."""
        tenant = conversion.reader(request.principal).tenant
        epochs = await self._ingestion.epochs(tenant, request.knowledge_bases, time.time())
        return conversion.epochs_message(request.knowledge_bases, epochs)


class _Mark(Enum):
    """What else stands in the queue of arrived requests."""

    NOTHING = auto()
    END = auto()


_Arrived = asyncio.Queue[_Request | Exception | _Mark]


async def _groups(requests: AsyncIterator[_Request]) -> AsyncIterator[list[_Request]]:
    """Groups what has already arrived, so that a slow sender's documents do not wait for later ones."""
    arrived = _Arrived(maxsize=_GROUP_DOCUMENTS)
    reading = asyncio.create_task(_read(requests, arrived))
    try:
        item = await arrived.get()
        while isinstance(item, _Request):
            group, item = _fill(item, arrived)
            yield group
            if item is _Mark.NOTHING:
                item = await arrived.get()
        if isinstance(item, Exception):
            raise item
    finally:
        reading.cancel()


async def _read(requests: AsyncIterator[_Request], arrived: _Arrived) -> None:
    try:
        async for request in requests:
            await arrived.put(request)
        await arrived.put(_Mark.END)
    except Exception as error:  # raised again where the queue is read
        await arrived.put(error)


def _fill(first: _Request, arrived: _Arrived) -> tuple[list[_Request], _Request | Exception | _Mark]:
    """A group that starts with `first`, and what was taken from the queue but does not belong to it."""
    group, size = [first], _size(first)
    while len(group) < _GROUP_DOCUMENTS and size < _GROUP_BYTES and not arrived.empty():
        item = arrived.get_nowait()
        if not isinstance(item, _Request) or _home(item) != _home(first):
            return group, item
        group.append(item)
        size += _size(item)
    return group, _Mark.NOTHING


def _size(request: _Request) -> int:
    document = request.document
    return len(document.text) + len(document.content) + (_FETCHED_BYTES if document.url else 0)


def _home(request: _Request) -> tuple[str, str]:
    return request.principal.tenant, request.knowledge_base
