"""Questions: encoded once, then answered by the staged query."""

import asyncio
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from prometheus_client import Histogram

from sluice_api.filtering import Filter, together
from sluice_api.objects.knowledge_base import MetadataField
from sluice_api.objects.retrieval import Acorn, Retrieval
from sluice_minilm.tokenizing import MAX_TOKENS
from sluice_retriever.domain import filters
from sluice_retriever.domain.explanation import Explanation
from sluice_retriever.domain.filter_words import written
from sluice_retriever.domain.matching import require_ids, token_match
from sluice_retriever.domain.merging import merge
from sluice_retriever.domain.model import DENSE_DIMENSION, Floats, Leg, Passage, QuestionVectors, Reader
from sluice_retriever.domain.parameters import resolve
from sluice_retriever.encoding.encoders import KnowledgeBaseEncoder
from sluice_retriever.store import exact_tokens
from sluice_retriever.store.knowledge_bases import Home, KnowledgeBases
from sluice_retriever.store.messages import Found, Lookup
from sluice_retriever.surveying import accelerate, read_filter
from sluice_servicekit import metrics, tracing
from sluice_servicekit import telemetry_names as names
from sluice_servicekit.errors import InvalidArgument

_SEARCH = Histogram(
    names.SEARCH_SECONDS, "Time of the staged query", ("knowledge_base",), buckets=metrics.LATENCY_BUCKETS
)

_MOST = 1000

#: How many times more candidates are asked for where too few may be returned.
_WIDER = 4

#: A longer query is a document; its words would scan most of the sparse index.
_MAX_QUERY_CHARACTERS = 32_768

#: Texts that are encoded in one call, and numbers of their vectors: what fits into a message with room to spare.
_MOST_TEXTS, _MOST_NUMBERS = 2048, 2_000_000


@dataclass(frozen=True, slots=True)
class Search:
    """What is looked for, and where."""

    reader: Reader
    knowledge_base: str
    query: str
    top_k: int
    vectors: QuestionVectors | None = None
    """The query's, by the model of `knowledge_base`; encoded when absent."""
    filter: Filter | None = None
    parameters: Retrieval = field(default=Retrieval())
    """Overrides the knowledge base's."""
    more_knowledge_bases: tuple[str, ...] = ()
    """Where else; what is found is ranked together."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a search found, and where its time went."""

    passages: list[Passage]
    vectors: QuestionVectors
    """By the first knowledge base's model."""
    timings_ms: dict[str, float]
    degraded: tuple[str, ...] = ()
    """Legs that failed or came too late."""
    explanations: tuple[Explanation, ...] = ()


@dataclass(frozen=True, slots=True)
class EncodedTexts:
    """The dense vectors of texts."""

    model_digest: str
    vectors: Floats
    """Shape (texts, dimension)."""
    token_counts: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class _Part:
    """What one knowledge base gave."""

    passages: list[Passage]
    explanation: Explanation
    degraded: tuple[str, ...] = ()


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
        return await _encode(encoder, text, dense_only=dense_only)

    async def embed_texts(
        self, texts: Sequence[str], knowledge_base: str, *, as_documents: bool
    ) -> EncodedTexts:
        """The dense vectors of texts by a knowledge base's model, apart from any run.

        Raises:
            InvalidArgument: there are none or too many of them, or one is blank.
            NotFound: there is no such knowledge base.
        """
        encoder = self._knowledge_bases.home(knowledge_base).encoder
        most = min(_MOST_TEXTS, _MOST_NUMBERS // encoder.dense_dimension)
        if not 1 <= len(texts) <= most:
            raise InvalidArgument(f"send 1 to {most} texts, not {len(texts)}", field="texts")
        for index, text in enumerate(texts):
            if not text.strip():
                raise InvalidArgument("the text is empty", field=f"texts[{index}]")
        with tracing.span(names.SPAN_EMBED, {names.OPERATION: names.SPAN_EMBED}):
            vectors, tokens = await encoder.texts(texts, as_documents=as_documents)
        return EncodedTexts(encoder.model_digest, vectors, tuple(tokens))

    async def search(self, search: Search) -> Answer:
        """The staged query, on all knowledge bases at the same time, and the best of what they gave.

        Raises:
            InvalidArgument: a part of the search is wrong, or its vectors are of another model.
            NotFound: there is no such knowledge base.
        """
        wanted = dict.fromkeys((search.knowledge_base, *search.more_knowledge_bases))
        homes = [self._knowledge_bases.home(name) for name in wanted]
        for home in homes:
            _validate(search, home.spec.fields)
        if search.vectors is not None:
            _validate_vectors(search.vectors, homes[0].encoder)
        started = time.perf_counter()
        vectors = search.vectors or await _encode(homes[0].encoder, search.query)
        by_model = await _by_model(search.query, homes, vectors)
        embedded = time.perf_counter()
        parts = await asyncio.gather(
            *(_ask(home, search, by_model[home.encoder.model_digest]) for home in homes)
        )
        done = time.perf_counter()
        return Answer(
            merge([part.passages for part in parts], search.top_k),
            vectors,
            {"embed": (embedded - started) * 1000, "query": (done - embedded) * 1000},
            tuple(dict.fromkeys(leg for part in parts for leg in part.degraded)),
            tuple(part.explanation for part in parts),
        )


async def _encode(encoder: KnowledgeBaseEncoder, text: str, *, dense_only: bool = False) -> QuestionVectors:
    with tracing.span(names.SPAN_EMBED, {names.OPERATION: names.SPAN_EMBED}):
        return await encoder.question(text, dense_only=dense_only)


async def _by_model(
    query: str, homes: Sequence[Home], vectors: QuestionVectors
) -> dict[str, QuestionVectors]:
    """The question's vectors by each model that the knowledge bases have."""
    others = {home.encoder.model_digest: home.encoder for home in homes}
    others.pop(vectors.model_digest, None)
    encoded = await asyncio.gather(*(_encode(encoder, query) for encoder in others.values()))
    return {vectors.model_digest: vectors, **dict(zip(others, encoded, strict=True))}


async def _ask(home: Home, search: Search, vectors: QuestionVectors) -> _Part:
    parameters = resolve(home.spec.retrieval, search.parameters)
    match = token_match(
        search.parameters.token_match, parameters.token_match, home.manifest.shape.tokens.match, home.name
    )
    require_ids(vectors, match)
    parameters = replace(parameters, leg_limit=max(search.top_k, parameters.leg_limit), token_match=match)
    now = time.time()
    said = await read_filter(home, search.reader, search.query, search.filter, parameters, now)
    lookup = Lookup(
        search.reader,
        search.query,
        vectors,
        search.top_k,
        parameters,
        together(search.filter, said.filter),
        now,
    )
    acceleration = await accelerate(home, lookup)
    lookup = replace(lookup, acorn=acceleration.on)
    attributes: tracing.Attributes = {names.KNOWLEDGE_BASE: home.name, names.TOP_K: search.top_k}
    with tracing.span(names.SPAN_RETRIEVAL, attributes), _SEARCH.labels(home.name).time():
        found = await home.store.search(lookup)
        before = -1
        while found.chosen > before and (wider := _wider(lookup, found)) is not None:
            before = found.chosen
            lookup, found = wider, await home.store.search(wider)
    explanation = Explanation(
        home.name,
        lookup.parameters,
        found.candidates,
        vectors.model_digest,
        home.manifest.generation,
        Acorn.ON if acceleration.on else Acorn.OFF,
        acceleration.reason,
        acceleration.selectivity,
        json.dumps(written(said.filter), ensure_ascii=False) if said.filter is not None else "",
        said.phrases,
    )
    passages = [replace(passage, knowledge_base=home.name) for passage in found.passages]
    return _Part(passages, explanation, found.degraded)


def _wider(lookup: Lookup, found: Found) -> Lookup | None:
    """The same with more candidates, where a cap or a threshold left too few of them and there are more."""
    parameters = lookup.parameters
    limit = parameters.leg_limit
    asked = bool(parameters.max_per_document) or parameters.min_similarity > -1
    full = any(count >= limit for leg, count in found.candidates.items() if leg is not Leg.TOKENS)
    if not asked or found.chosen >= lookup.top_k or not full or limit >= _MOST:
        return None
    return replace(lookup, parameters=replace(parameters, leg_limit=min(_MOST, _WIDER * limit)))


def _validate_vectors(vectors: QuestionVectors, encoder: KnowledgeBaseEncoder) -> None:
    if vectors.model_digest != encoder.model_digest:
        raise InvalidArgument(
            "the question's vectors are of another model than this knowledge base's",
            reason="MODEL_DIGEST_MISMATCH",
            field="question_vectors.model_digest",
        )
    ids = vectors.token_ids
    if (
        vectors.dense.shape != (encoder.dense_dimension,)
        or vectors.sentence.shape != (DENSE_DIMENSION,)
        or len(vectors.tokens) > MAX_TOKENS
        or len(ids) not in (0, len(vectors.tokens))
        or (ids > exact_tokens.MAX_TOKEN_ID).any()
    ):
        raise InvalidArgument("the question's vectors have another shape", field="question_vectors")
    if not all(np.isfinite(part).all() for part in (vectors.dense, vectors.tokens, vectors.sentence)):
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
