"""Parameters of retrieval: a knowledge base's defaults, overridden by a pipeline, overridden by a request."""

from enum import StrEnum
from typing import Annotated, TypeVar

from pydantic import Field

from sluice_api.objects.base import Duration, Model

M = TypeVar("M", bound=Model)


class TokenMatch(StrEnum):
    """How tokens of question and passage are matched."""

    ANY = "any"
    """Any token with any, as ColBERT does."""
    EXACT = "exact"
    """A token with the same token only, as COIL does; `tokens.match` has to store it."""
    OFF = "off"
    """No token leg."""


class Acorn(StrEnum):
    """Whether a filtered graph search also looks at neighbours' neighbours."""

    OFF = "off"
    ON = "on"
    AUTO = "auto"
    """By the filter's estimated selectivity and the number of its conditions."""


class SelfQuery(StrEnum):
    """How filters are read out of the question."""

    OFF = "off"
    RULES = "rules"
    """By rules, from the knowledge base's declared fields."""


class Parent(StrEnum):
    """What is returned in place of the chunk that was found."""

    NONE = "none"
    """The chunk itself."""
    SECTION = "section"
    """All of its section, as far as it goes into a passage."""
    DOCUMENT = "document"
    """All of its document, as far as it goes into a passage."""


class Fusion(Model):
    """How the legs' ranks become one score: the sum of `weight / (k + rank)`, ranks from zero."""

    k: Annotated[int, Field(ge=1, le=1000)] | None = None
    """Small values trust the first ranks; Qdrant's default is 2, the paper's 60 equals 61 here."""
    dense: Annotated[float, Field(ge=0.0, le=100.0)] | None = None
    sparse: Annotated[float, Field(ge=0.0, le=100.0)] | None = None
    tokens: Annotated[float, Field(ge=0.0, le=100.0)] | None = None
    keyword: Annotated[float, Field(ge=0.0, le=100.0)] | None = None


class Retrieval(Model):
    """Parameters of one retrieval. What is absent is decided one level up: by the pipeline, then by the knowledge
    base, then by the default."""

    leg_limit: Annotated[int, Field(ge=1, le=1000)] | None = None
    """Candidates that each leg contributes to the fusion; 100 by default."""
    oversampling: Annotated[float, Field(ge=1.0, le=32.0)] | None = None
    """Candidates fetched by quantized score for each one kept after rescoring; 3 by default."""
    acorn: Acorn | None = None
    """`auto` by default; matters only where a graph is searched."""
    token_match: TokenMatch | None = None
    """`any` by default."""
    fusion: Fusion = Fusion()
    """k is 2 and every weight 1 by default, but 0.5 for `keyword`, which is BM25 once more."""
    min_similarity: Annotated[float, Field(ge=-1.0, le=1.0)] | None = None
    """Drops passages none of whose sentences is this similar to the question; nothing is dropped by default."""
    max_per_document: Annotated[int, Field(ge=0, le=1000)] | None = None
    """The most passages of one document; 0, the default, for any number."""
    diversity: Annotated[float, Field(ge=0.0, le=1.0)] | None = None
    """Maximal marginal relevance: 0, the default, ranks by relevance alone, 1 by difference alone."""
    neighbours: Annotated[int, Field(ge=0, le=5)] | None = None
    """Chunks before and after that are joined to each passage; 0 by default."""
    parent: Parent | None = None
    """`none` by default."""
    self_query: SelfQuery | None = None
    """`off` by default."""
    keyword_timeout: Duration | None = None
    """What the keyword store may take; its leg is left out after that, and the answer says so. 150ms by default."""


def override(base: M, with_: M) -> M:
    """`base` with what `with_` sets; parts are overridden field by field."""
    changes = {}
    for name in type(base).model_fields:
        value = getattr(with_, name)
        if isinstance(value, Model):
            changes[name] = override(getattr(base, name), value)
        elif value is not None:
            changes[name] = value
    return base.model_copy(update=changes)
