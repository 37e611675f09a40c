"""Between the retriever's protos and its domain. Converts only; decides nothing."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from google.protobuf import timestamp_pb2
from pydantic import ValidationError

from sluice.common.v1 import common_pb2
from sluice.retriever.v1 import retriever_pb2
from sluice_api.objects.retrieval import Retrieval
from sluice_retriever.domain.model import (
    TOKEN_DIMENSION,
    Document,
    DocumentSummary,
    Ingested,
    Outcome,
    Passage,
    QuestionVectors,
    Reader,
)
from sluice_retriever.filter_conversion import filter_
from sluice_retriever.questions import Search
from sluice_retriever.rebuilding import Progress
from sluice_servicekit.errors import InvalidArgument

_OUTCOMES = {
    Outcome.STORED: retriever_pb2.INGEST_OUTCOME_STORED,
    Outcome.UNCHANGED: retriever_pb2.INGEST_OUTCOME_UNCHANGED,
    Outcome.REFUSED: retriever_pb2.INGEST_OUTCOME_REFUSED,
    Outcome.IN_PROGRESS: retriever_pb2.INGEST_OUTCOME_IN_PROGRESS,
}

#: Enum fields of the parameters, and what their values' names start with.
_ENUMS: dict[str, tuple[Any, str]] = {
    "acorn": (retriever_pb2.Acorn, "ACORN_"),
    "token_match": (retriever_pb2.TokenMatch, "TOKEN_MATCH_"),
    "parent": (retriever_pb2.Parent, "PARENT_"),
    "self_query": (retriever_pb2.SelfQuery, "SELF_QUERY_"),
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
        top_k=request.top_k,
        vectors=_question_vectors(request.question_vectors) if given else None,
        filter=filter_(request.filter) if request.HasField("filter") else None,
        parameters=parameters(request.parameters),
    )


def parameters(message: retriever_pb2.RetrievalParameters) -> Retrieval:
    """Parameters as far as they are given.

    Raises:
        InvalidArgument: one has no meaning.
    """
    given: dict[str, object] = {
        field.name: value for field, value in message.ListFields() if field.name in Retrieval.model_fields
    }
    for name, (kind, words) in _ENUMS.items():
        if name in given:
            given[name] = kind.Name(given[name]).removeprefix(words).lower()
    if message.HasField("fusion"):
        given["fusion"] = {field.name: value for field, value in message.fusion.ListFields()}
    if message.HasField("keyword_timeout_ms"):
        given["keyword_timeout"] = f"{message.keyword_timeout_ms}ms"
    try:
        return Retrieval.model_validate(given)
    except ValidationError as error:
        detail = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(("parameters", *(str(part) for part in detail["loc"])))
        raise InvalidArgument(f"{where}: {detail['msg']}", field=where) from None


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
    return QuestionVectors(message.model_digest, np.array(message.dense, np.float32), tokens.reshape(shape))


def question_vectors_message(vectors: QuestionVectors) -> common_pb2.QuestionVectors:
    """A question's vectors as a message."""
    return common_pb2.QuestionVectors(
        model_digest=vectors.model_digest,
        dense=vectors.dense.tolist(),
        tokens=vectors.tokens.ravel().tolist(),
        token_count=vectors.tokens.shape[0],
        token_dimension=vectors.tokens.shape[1],
    )


def passage(found: Passage, knowledge_base: str) -> common_pb2.Passage:
    """A chunk as found."""
    return common_pb2.Passage(
        document_id=found.document_id,
        chunk_id=found.chunk_id,
        knowledge_base=knowledge_base,
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


def ingested(result: Ingested) -> retriever_pb2.IngestResponse:
    """What became of a document."""
    return retriever_pb2.IngestResponse(
        document_id=result.document_id,
        outcome=_OUTCOMES[result.outcome],
        reason=result.reason,
        chunks=result.chunks,
        total_chunks=result.total_chunks,
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


def _summary(found: DocumentSummary) -> retriever_pb2.DocumentSummary:
    message = retriever_pb2.DocumentSummary(document_id=found.document_id, chunks=found.chunks)
    if found.expires is not None:
        message.expire_time.FromMilliseconds(round(found.expires * 1000))
    return message
