"""Questions: encoded once, then answered by the staged query."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from prometheus_client import Histogram

from sluice_api.objects.knowledge_base import MetadataField
from sluice_api.objects.retrieval import Retrieval
from sluice_retriever.domain import filters
from sluice_retriever.domain.model import Filter, Passage, QuestionVectors, Reader
from sluice_retriever.domain.parameters import resolve
from sluice_retriever.encoding.encoders import KnowledgeBaseEncoder
from sluice_retriever.encoding.tokenizing import MAX_TOKENS
from sluice_retriever.store.knowledge_bases import KnowledgeBases
from sluice_retriever.store.messages import Lookup
from sluice_servicekit import metrics, tracing
from sluice_servicekit import telemetry_names as names
from sluice_servicekit.errors import InvalidArgument

_SEARCH = Histogram(
    names.SEARCH_SECONDS, "Time of the staged query", ("knowledge_base",), buckets=metrics.LATENCY_BUCKETS
)

_MOST = 1000

#: A longer query is a document; its words would scan most of the sparse index.
_MAX_QUERY_CHARACTERS = 32_768


@dataclass(frozen=True, slots=True)
class Search:
    """What is looked for, and where."""

    reader: Reader
    knowledge_base: str
    query: str
    top_k: int
    vectors: QuestionVectors | None = None
    """The query's; encoded when absent."""
    filter: Filter | None = None
    parameters: Retrieval = field(default=Retrieval())
    """Overrides the knowledge base's."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a search found, and where its time went."""

    passages: list[Passage]
    vectors: QuestionVectors
    timings_ms: dict[str, float]
    degraded: tuple[str, ...] = ()
    """Legs that failed or came too late."""


class Questions:
    """The reading half of the retriever."""

    def __init__(self, knowledge_bases: KnowledgeBases, builtin: KnowledgeBaseEncoder) -> None:
        self._knowledge_bases = knowledge_bases
        self._builtin = builtin

    async def embed(
        self, text: str, knowledge_base: str = "", *, dense_only: bool = False
    ) -> QuestionVectors:
        """A question's vectors, by a knowledge base's model or by the built-in one.

        Raises:
            InvalidArgument: the text is empty.
            NotFound: there is no such knowledge base.
        """
        if not text.strip():
            raise InvalidArgument("the text is empty", field="text")
        encoder = self._knowledge_bases.home(knowledge_base).encoder if knowledge_base else self._builtin
        with tracing.span(names.SPAN_EMBED, {names.OPERATION: names.SPAN_EMBED}):
            return await encoder.question(text, dense_only=dense_only)

    async def search(self, search: Search) -> Answer:
        """The staged query.

        Raises:
            InvalidArgument: a part of the search is wrong, or its vectors are of another model.
            NotFound: there is no such knowledge base.
        """
        home = self._knowledge_bases.home(search.knowledge_base)
        _validate(search, home.spec.fields)
        if search.vectors is not None:
            _validate_vectors(search.vectors, home.encoder)
        started = time.perf_counter()
        vectors = search.vectors or await self.embed(search.query, search.knowledge_base)
        embedded = time.perf_counter()
        parameters = resolve(home.spec.retrieval, search.parameters)
        parameters = replace(parameters, leg_limit=max(search.top_k, parameters.leg_limit))
        lookup = Lookup(
            search.reader, search.query, vectors, search.top_k, parameters, search.filter, time.time()
        )
        attributes: tracing.Attributes = {
            names.KNOWLEDGE_BASE: search.knowledge_base,
            names.TOP_K: search.top_k,
        }
        with tracing.span(names.SPAN_RETRIEVAL, attributes):
            found = await home.store.search(lookup)
        done = time.perf_counter()
        _SEARCH.labels(search.knowledge_base).observe(done - embedded)
        timings_ms = {"embed": (embedded - started) * 1000, "query": (done - embedded) * 1000}
        return Answer(found.passages, vectors, timings_ms, found.degraded)


def _validate_vectors(vectors: QuestionVectors, encoder: KnowledgeBaseEncoder) -> None:
    if vectors.model_digest != encoder.model_digest:
        raise InvalidArgument(
            "the question's vectors are of another model than this knowledge base's",
            reason="MODEL_DIGEST_MISMATCH",
            field="question_vectors.model_digest",
        )
    if vectors.dense.shape != (encoder.dense_dimension,) or len(vectors.tokens) > MAX_TOKENS:
        raise InvalidArgument("the question's vectors have another shape", field="question_vectors")
    if not (np.isfinite(vectors.dense).all() and np.isfinite(vectors.tokens).all()):
        raise InvalidArgument("the question's vectors are not finite", field="question_vectors")


def _validate(search: Search, declared: Sequence[MetadataField]) -> None:
    if not search.query.strip():
        raise InvalidArgument("the query is empty", field="query")
    if len(search.query) > _MAX_QUERY_CHARACTERS:
        raise InvalidArgument(f"the query is longer than {_MAX_QUERY_CHARACTERS} characters", field="query")
    if not 1 <= search.top_k <= _MOST:
        raise InvalidArgument(f"top_k is {search.top_k}; it must be 1 to {_MOST}", field="top_k")
    if search.filter is not None:
        filters.validate(search.filter, declared)
