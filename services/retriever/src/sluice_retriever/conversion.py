"""Between the retriever's protos and its domain. Converts only; decides nothing."""

from collections.abc import Sequence

import numpy as np
from google.protobuf import timestamp_pb2

from sluice.common.v1 import common_pb2
from sluice.retriever.v1 import retriever_pb2
from sluice_retriever.domain.explanation import Explanation
from sluice_retriever.domain.model import (
    TOKEN_DIMENSION,
    Document,
    DocumentSummary,
    Epoch,
    Ingested,
    Outcome,
    Passage,
    QuestionVectors,
    Reader,
)
from sluice_retriever.domain.parameters import as_json
from sluice_retriever.filter_conversion import filter_
from sluice_retriever.questions import Answer, EncodedTexts, Search
from sluice_retriever.rebuilding import Progress
from sluice_servicekit import retrieval_parameters
from sluice_servicekit.errors import InvalidArgument

_OUTCOMES = {
    Outcome.STORED: retriever_pb2.INGEST_OUTCOME_STORED,
    Outcome.UNCHANGED: retriever_pb2.INGEST_OUTCOME_UNCHANGED,
    Outcome.REFUSED: retriever_pb2.INGEST_OUTCOME_REFUSED,
    Outcome.IN_PROGRESS: retriever_pb2.INGEST_OUTCOME_IN_PROGRESS,
}


def reader(principal: common_pb2.Principal) -> Reader:
    """Who asks.

    Raises:
        InvalidArgument: no tenant is named.
    """
    if not principal.tenant:
        raise InvalidArgument("the principal names no tenant", field="principal.tenant")
    return Reader(principal.tenant, tuple(principal.acl))


def search(request: retriever_pb2.SearchRequest) -> Search:
    """A search.

    Raises:
        InvalidArgument: a part of it has no meaning.
    """
    given = request.HasField("question_vectors")
    return Search(
        reader=reader(request.principal),
        knowledge_base=request.knowledge_base,
        query=request.query,
        more_knowledge_bases=tuple(request.more_knowledge_bases),
        top_k=request.top_k,
        vectors=_question_vectors(request.question_vectors) if given else None,
        filter=filter_(request.filter) if request.HasField("filter") else None,
        parameters=retrieval_parameters.from_message(request.parameters, "parameters"),
    )


def document(message: retriever_pb2.Document) -> Document:
    """A document; what is wrong with it is for the domain to say."""
    return Document(
        id=message.id or message.url,
        text=message.text,
        title=message.title,
        metadata_json=message.metadata_json or "{}",
        media_type=message.media_type,
        acl=tuple(message.acl),
        content=message.content,
        url=message.url,
        expires=_seconds(message.expire_time) if message.HasField("expire_time") else None,
    )


def _seconds(time: timestamp_pb2.Timestamp) -> float:
    return time.seconds + time.nanos / 1e9


def _question_vectors(message: common_pb2.QuestionVectors) -> QuestionVectors:
    tokens = np.array(message.tokens, np.float32)
    shape = (message.token_count, TOKEN_DIMENSION)
    if tokens.size != shape[0] * shape[1] or message.token_dimension not in (0, TOKEN_DIMENSION):
        raise InvalidArgument("the question's vectors have another shape", field="question_vectors")
    dense = np.array(message.dense, np.float32)
    return QuestionVectors(
        message.model_digest,
        dense,
        tokens.reshape(shape),
        np.array(message.token_ids, np.uint32),
        np.array(message.sentence, np.float32) if message.sentence else dense,
    )


def question_vectors_message(vectors: QuestionVectors) -> common_pb2.QuestionVectors:
    """A question's vectors as a message."""
    return common_pb2.QuestionVectors(
        model_digest=vectors.model_digest,
        dense=vectors.dense.tolist(),
        tokens=vectors.tokens.ravel().tolist(),
        token_count=vectors.tokens.shape[0],
        token_dimension=vectors.tokens.shape[1],
        token_ids=vectors.token_ids.tolist(),
        sentence=() if vectors.sentence is vectors.dense else vectors.sentence.tolist(),
    )


def encoded_texts(encoded: EncodedTexts) -> retriever_pb2.EmbedTextsResponse:
    """Texts' vectors as a message."""
    return retriever_pb2.EmbedTextsResponse(
        model_digest=encoded.model_digest,
        dimension=encoded.vectors.shape[1],
        vectors=encoded.vectors.astype("<f4", copy=False).tobytes(),
        token_counts=encoded.token_counts,
    )


def answer(found: Answer, *, explain: bool) -> retriever_pb2.SearchResponse:
    """What a search found."""
    return retriever_pb2.SearchResponse(
        passages=[passage_message(each) for each in found.passages],
        timings_ms=found.timings_ms,
        question_vectors=question_vectors_message(found.vectors),
        degraded=found.degraded,
        explanations=[_explanation(each) for each in found.explanations] if explain else [],
    )


def _explanation(explained: Explanation) -> retriever_pb2.Explanation:
    acorn = explained.acorn
    return retriever_pb2.Explanation(
        knowledge_base=explained.knowledge_base,
        acorn=retriever_pb2.Acorn.Value(f"ACORN_{acorn.name if acorn else 'UNSPECIFIED'}"),
        acorn_reason=explained.acorn_reason,
        selectivity=explained.selectivity,
        self_query_filter_json=explained.self_query_filter_json,
        self_query_phrases=explained.self_query_phrases,
        candidates={str(leg): count for leg, count in explained.candidates.items()},
        parameters_json=as_json(explained.parameters),
        model_digest=explained.model_digest,
        generation=explained.generation,
    )


def passage_message(found: Passage) -> common_pb2.Passage:
    """A passage as a message."""
    return common_pb2.Passage(
        document_id=found.document_id,
        chunk_id=found.chunk_id,
        knowledge_base=found.knowledge_base,
        title=found.title,
        text=found.text,
        score=found.score,
        metadata_json=found.metadata_json,
        legs=[common_pb2.LegScore(leg=leg.leg, rank=leg.rank, score=leg.score) for leg in found.legs],
        sentences=[
            common_pb2.Sentence(
                span=common_pb2.Span(start=sentence.span.start, end=sentence.span.end),
                similarity=sentence.similarity,
            )
            for sentence in found.sentences
        ],
    )


def ingested(result: Ingested, *, chunks: bool) -> retriever_pb2.IngestResponse:
    """What became of a document, and where it is asked for, the chunks that were written."""
    written = result.written if chunks else ()
    return retriever_pb2.IngestResponse(
        document_id=result.document_id,
        outcome=_OUTCOMES[result.outcome],
        reason=result.reason,
        chunks=result.chunks,
        total_chunks=result.total_chunks,
        written=[
            retriever_pb2.WrittenChunk(chunk_id=each.chunk_id, title=each.title, text=each.text)
            for each in written
        ],
    )


def rebuilding(progress: Progress) -> retriever_pb2.RebuildResponse:
    """How far a rebuild is."""
    return retriever_pb2.RebuildResponse(
        generation=progress.generation,
        documents=progress.documents,
        total_documents=progress.total,
        done=progress.done,
    )


def document_list(page: Sequence[DocumentSummary], size: int) -> retriever_pb2.ListDocumentsResponse:
    """A page of documents; a full one may have another after it."""
    return retriever_pb2.ListDocumentsResponse(
        documents=[_summary(each) for each in page],
        next_page_token=page[-1].document_id if len(page) == size else "",
    )


def epochs_message(names: Sequence[str], epochs: Sequence[Epoch | None]) -> retriever_pb2.GetEpochsResponse:
    """Where writes stand, by knowledge base."""
    response = retriever_pb2.GetEpochsResponse()
    for name, epoch in zip(names, epochs, strict=True):
        message = response.epochs.add(knowledge_base=name)
        if epoch is not None:
            message.generation, message.number = epoch.counter, epoch.number
            if epoch.next_expiry is not None:
                message.next_expire_time.FromMicroseconds(round(epoch.next_expiry * 1_000_000))
    return response


def _summary(found: DocumentSummary) -> retriever_pb2.DocumentSummary:
    message = retriever_pb2.DocumentSummary(document_id=found.document_id, chunks=found.chunks)
    if found.expires is not None:
        message.expire_time.FromMilliseconds(round(found.expires * 1000))
    return message
