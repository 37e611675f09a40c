"""What documents, search, knowledge bases and policies reply."""

from typing import Any, Literal

from pydantic import BaseModel, Field


class KnowledgeBaseReply(BaseModel):
    """A knowledge base."""

    name: str
    description: str
    embedding_model: str
    """What `/v1/embeddings` may call it besides its name; empty where the model has no name."""


class KnowledgeBases(BaseModel):
    """All knowledge bases."""

    knowledge_bases: list[KnowledgeBaseReply]


class Named(BaseModel):
    """Something about one document."""

    id: str
    reason: str


class DocumentFlag(BaseModel):
    """What a policy flags in a chunk that was stored."""

    chunk_id: str
    policy: str
    detector: str
    category: str
    score: float
    decision: str
    span: list[int] | None = Field(min_length=2, max_length=2)
    """In the chunk's text; null where it is the title."""


class NamedFlag(DocumentFlag):
    """The same, with the document."""

    id: str


class Totals(BaseModel):
    """What became of documents."""

    accepted: int
    failed: list[Named]
    flags: list[NamedFlag] | None = None
    unscreened: list[Named] | None = None


class DocumentOutcome(BaseModel):
    """What became of one document."""

    id: str
    outcome: Literal["stored", "unchanged", "refused", "in_progress"]
    chunks: int | None = None
    total_chunks: int | None = None
    reason: str | None = None
    flags: list[DocumentFlag] | None = None
    unscreened: str | None = None


class IngestEvent(BaseModel):
    """What became of one document, or, with `done`, of all of them."""

    type: Literal["document", "done"]
    id: str | None = None
    outcome: Literal["stored", "unchanged", "refused", "in_progress"] | None = None
    chunks: int | None = None
    total_chunks: int | None = None
    reason: str | None = None
    accepted: int | None = None
    unchanged: int | None = None
    failed: list[Named] | None = None


class DocumentReply(BaseModel):
    """A stored document."""

    id: str
    chunks: int
    expire_time: str | None = None


class DocumentPage(BaseModel):
    """Documents by id."""

    documents: list[DocumentReply]
    next: str | None
    """The `after` of the following page."""


class LegReply(BaseModel):
    """How one leg placed a hit."""

    leg: str
    rank: int
    score: float


class Hit(BaseModel):
    """A passage."""

    document_id: str
    chunk_id: str
    knowledge_base: str
    score: float
    title: str
    text: str
    metadata: dict[str, Any]
    legs: list[LegReply] | None = None


class SelfQueryReply(BaseModel):
    """What the question itself was read to ask for."""

    filter: Any
    phrases: list[str]


class ExplanationReply(BaseModel):
    """How one knowledge base was searched."""

    knowledge_base: str
    acorn: str | None
    acorn_reason: str
    selectivity: float | None
    self_query: SelfQueryReply
    candidates: dict[str, int]
    parameters: dict[str, Any]
    model_digest: str
    generation: str


class SearchReply(BaseModel):
    """What was found."""

    hits: list[Hit]
    timings_ms: dict[str, float]
    degraded: list[str] | None = None
    explanations: list[ExplanationReply] | None = None


class SpanReply(BaseModel):
    """Where a detector has found something."""

    start: int
    end: int
    category: str
    score: float
    view: str
    segment: int


class DetectorReply(BaseModel):
    """One detector's share in a decision."""

    name: str
    version: str
    threshold_set: str
    state: str
    score: float
    threshold: float
    action: str
    spans: list[SpanReply]
    milliseconds: float
    detail: str


class GuardReply(BaseModel):
    """What a policy makes of a text."""

    action: Literal["allow", "flag", "redact", "block", "unspecified"]
    score: float
    reason: str
    message: str
    detectors: list[DetectorReply]
    policy: str
    policy_version: str
    mode: str
    would: str
    partial: bool
    milliseconds: float
    text: str | None = None


class Rebuilding(BaseModel):
    """How far a rebuild is."""

    type: Literal["progress", "done"]
    generation: str
    documents: int
    total_documents: int
