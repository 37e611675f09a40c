"""Retriever and reranker as the run's ports: protos here, domain there."""

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from typing import cast

from sluice.common.v1 import common_pb2
from sluice.reranker.v1 import reranker_pb2, reranker_pb2_grpc
from sluice.retriever.v1 import retriever_pb2, retriever_pb2_grpc
from sluice_gateway import conversion
from sluice_gateway.domain.embedding import EmbeddedTexts
from sluice_gateway.domain.model import Passage, Principal, Reranked, Vectors
from sluice_gateway.domain.search import Found, Search
from sluice_servicekit import retrieval_parameters
from sluice_servicekit.exchanging import exchange


class RetrieverClient:
    """`domain.ports.Retriever` over gRPC, and the knowledge bases' own calls."""

    def __init__(self, stub: "retriever_pb2_grpc.RetrieverServiceAsyncStub") -> None:
        self._stub = stub

    async def epochs(self, principal: Principal, knowledge_bases: Sequence[str]) -> str:
        """Where the tenant's writes stand, as a text that is the same where they have not moved; empty where that
        cannot be told."""
        request = retriever_pb2.GetEpochsRequest(
            principal=conversion.principal(principal), knowledge_bases=knowledge_bases
        )
        response = await self._stub.GetEpochs(request)
        if not all(epoch.HasField("number") for epoch in response.epochs):
            return ""
        return response.SerializeToString(deterministic=True).hex()

    async def sentence(self, text: str) -> Sequence[float]:
        """A text's vector by the built-in model."""
        request = retriever_pb2.EmbedRequest(text=text, dense_only=True)
        return tuple((await self._stub.Embed(request)).question_vectors.dense)

    async def embed_texts(
        self, knowledge_base: str, texts: Sequence[str], *, as_documents: bool
    ) -> EmbeddedTexts:
        """Texts' vectors, by the knowledge base's model."""
        request = retriever_pb2.EmbedTextsRequest(
            knowledge_base=knowledge_base, texts=texts, as_documents=as_documents
        )
        response = await self._stub.EmbedTexts(request)
        return EmbeddedTexts(response.dimension, response.vectors, tuple(response.token_counts))

    async def search(self, principal: Principal, search: Search) -> Found:
        """The passages that answer best."""
        response = await self.search_whole(principal, search)
        vectors = Vectors(response.question_vectors)
        return Found(response.passages, vectors, tuple(response.degraded))

    async def search_whole(self, principal: Principal, search: Search) -> retriever_pb2.SearchResponse:
        """The passages that answer best, with timings and explanations."""
        request = retriever_pb2.SearchRequest(
            principal=conversion.principal(principal),
            knowledge_base=search.knowledge_base,
            more_knowledge_bases=search.more_knowledge_bases,
            query=search.query,
            question_vectors=conversion.vectors(search.vectors),
            top_k=search.top_k,
            parameters=retrieval_parameters.to_message(search.parameters),
            filter=cast("retriever_pb2.Filter | None", search.filter),
            explain=search.explain,
        )
        return await self._stub.Search(request)

    async def ingest(
        self,
        principal: Principal,
        knowledge_base: str,
        documents: AsyncIterator[retriever_pb2.Document],
        *,
        progress: bool,
        return_chunks: bool,
    ) -> AsyncGenerator[retriever_pb2.IngestResponse, None]:
        """Stores documents; one reply for each, in order, and with `progress` or `return_chunks` more of large ones."""
        who = conversion.principal(principal)

        async def requests() -> AsyncIterator[retriever_pb2.IngestRequest]:
            async for document in documents:
                yield retriever_pb2.IngestRequest(
                    principal=who,
                    knowledge_base=knowledge_base,
                    document=document,
                    progress=progress,
                    return_chunks=return_chunks,
                )

        async for response in exchange(self._stub.Ingest, requests()):
            yield response

    async def delete(self, principal: Principal, knowledge_base: str, ids: Sequence[str]) -> int:
        """Removes documents; gives how many there were."""
        request = retriever_pb2.DeleteDocumentsRequest(
            principal=conversion.principal(principal), knowledge_base=knowledge_base, document_ids=ids
        )
        return (await self._stub.DeleteDocuments(request)).deleted

    async def list_documents(
        self, principal: Principal, knowledge_base: str, prefix: str, page_token: str, page_size: int
    ) -> retriever_pb2.ListDocumentsResponse:
        """A page of documents, by id."""
        request = retriever_pb2.ListDocumentsRequest(
            principal=conversion.principal(principal),
            knowledge_base=knowledge_base,
            prefix=prefix,
            page_token=page_token,
            page_size=page_size,
        )
        return await self._stub.ListDocuments(request)

    async def rebuild(
        self, principal: Principal, knowledge_base: str
    ) -> AsyncGenerator[retriever_pb2.RebuildResponse, None]:
        """Builds a knowledge base anew, and tells how far it is."""
        request = retriever_pb2.RebuildRequest(
            principal=conversion.principal(principal), knowledge_base=knowledge_base
        )
        async for response in self._stub.Rebuild(request):
            yield response


class RerankerClient:
    """`domain.ports.Reranker` over gRPC."""

    def __init__(self, stub: "reranker_pb2_grpc.RerankerServiceAsyncStub") -> None:
        self._stub = stub

    async def rerank(
        self,
        principal: Principal,
        query: str,
        vectors: Vectors | None,
        passages: Sequence[Passage],
        top_k: int,
        pipeline: str,
    ) -> Reranked:
        """The best passages with their new scores."""
        candidates = cast("Sequence[common_pb2.Passage]", passages)
        response = await self._rerank(
            principal, query, conversion.vectors(vectors), candidates, top_k, pipeline
        )
        ordered = _reordered(candidates, response)
        return Reranked(ordered, response.scored, response.model, response.partial_reason)

    async def rerank_messages(
        self,
        principal: Principal,
        query: str,
        vectors: common_pb2.QuestionVectors,
        passages: Sequence[common_pb2.Passage],
        top_k: int,
    ) -> Sequence[common_pb2.Passage]:
        """The same on messages, by the embedded ranker."""
        return _reordered(passages, await self._rerank(principal, query, vectors, passages, top_k))

    async def _rerank(
        self,
        principal: Principal,
        query: str,
        vectors: common_pb2.QuestionVectors | None,
        passages: Sequence[common_pb2.Passage],
        top_k: int,
        pipeline: str = "",
    ) -> reranker_pb2.RerankResponse:
        request = reranker_pb2.RerankRequest(
            principal=conversion.principal(principal),
            query=query,
            question_vectors=vectors,
            candidates=passages,
            top_k=top_k,
            pipeline=pipeline,
        )
        return await self._stub.Rerank(request)


def _reordered(
    passages: Sequence[common_pb2.Passage], response: reranker_pb2.RerankResponse
) -> list[common_pb2.Passage]:
    ordered = []
    for ranked in response.ranked:
        passage = common_pb2.Passage()
        passage.CopyFrom(passages[ranked.index])
        passage.score = ranked.score
        ordered.append(passage)
    return ordered
