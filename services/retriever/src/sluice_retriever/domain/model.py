"""The retriever's nouns, frozen."""

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import numpy.typing as npt

from sluice_retriever.domain.pickling import by_position

Floats = npt.NDArray[np.float32]
TokenIds = npt.NDArray[np.uint32]

#: Of the built-in model's sentence vectors.
DENSE_DIMENSION = 384
TOKEN_DIMENSION = 128


@dataclass(frozen=True, slots=True)
class Reader:
    """Who looks: a tenant, and what it may see of its own."""

    tenant: str
    acl: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Document:
    """A document as its owner gave it."""

    id: str
    text: str
    title: str = ""
    metadata_json: str = "{}"
    media_type: str = ""
    """What text or content is written in; empty where it is to be found out."""
    acl: tuple[str, ...] = ()
    content: bytes = b""
    """A file as it is, in place of text."""
    expires: float | None = None
    """When it stops being found, in epoch seconds; never when None."""
    url: str = ""
    """Where text or content are still to be fetched from."""
    refusal: str = ""
    """Why it cannot be stored, where that is known before anything of it is looked at."""


@by_position
@dataclass(frozen=True, slots=True)
class Span:
    """Half-open range of code points."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Chunk:
    """A piece of a document that is encoded and found as one."""

    text: str
    section: tuple[str, ...]
    """Headings above the piece, outermost first."""
    sentences: tuple[Span, ...]
    """The piece's sentences in `text`, in order; they do not overlap."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """What became of a document that was parsed and cut."""

    title: str = ""
    """The document's own where none was given with it."""
    chunks: tuple[Chunk, ...] = ()
    refusal: str = ""
    """Why there are no chunks; empty where there are."""


@dataclass(frozen=True, slots=True)
class ChunkVectors:
    """A chunk's vectors; all rows are L2-normalised."""

    dense: Floats
    """Shape (dimension,), by the knowledge base's model."""
    tokens: Floats
    """Shape (tokens, 128)."""
    sentences: Floats
    """Shape (sentences, 384)."""
    token_ids: TokenIds
    """The built-in model's vocabulary ids, one for each row of `tokens`."""


@dataclass(frozen=True, slots=True)
class QuestionVectors:
    """A question's vectors; all rows are L2-normalised."""

    model_digest: str
    dense: Floats
    """Shape (dimension,), by the knowledge base's model."""
    tokens: Floats
    """Shape (tokens, 128); no rows where only the dense vector was asked for."""
    token_ids: TokenIds
    """The built-in model's vocabulary ids, one for each row of `tokens`; none where who encoded them left them out."""
    sentence: Floats
    """Shape (384,), by the built-in model; equal to `dense` where that is the knowledge base's."""


class Leg(StrEnum):
    """The legs of a search."""

    DENSE = "dense"
    SPARSE = "sparse"
    TOKENS = "tokens"
    KEYWORD = "keyword"
    """The keyword store's, which is a process or a server of its own."""


@by_position
@dataclass(frozen=True, slots=True)
class LegScore:
    """How one leg placed a candidate."""

    leg: Leg
    rank: int
    """From zero."""
    score: float
    """Higher is better; not comparable between legs."""


@by_position
@dataclass(frozen=True, slots=True)
class SentenceScore:
    """A sentence and its cosine similarity to the question."""

    span: Span
    similarity: float


@by_position
@dataclass(frozen=True, slots=True)
class Passage:
    """A chunk as found."""

    document_id: str
    chunk_id: str
    title: str
    """The document's title and the headings above the chunk."""
    text: str
    metadata_json: str
    score: float
    legs: tuple[LegScore, ...]
    sentences: tuple[SentenceScore, ...]
    knowledge_base: str = ""

    @property
    def similarity(self) -> float:
        """Of its best sentence to the question; -1 where it has none, as code."""
        return max((sentence.similarity for sentence in self.sentences), default=-1.0)


class Outcome(StrEnum):
    """What became of a document."""

    STORED = "stored"
    UNCHANGED = "unchanged"
    REFUSED = "refused"
    IN_PROGRESS = "in_progress"
    """Not done yet; some of its chunks are written."""


@dataclass(frozen=True, slots=True)
class WrittenChunk:
    """A chunk as a passage shows it."""

    chunk_id: str
    title: str
    text: str


@dataclass(frozen=True, slots=True)
class Ingested:
    """What became of one document."""

    document_id: str
    outcome: Outcome
    reason: str = ""
    chunks: int = 0
    total_chunks: int = 0
    """How many it will have, while it is in progress."""
    written: tuple[WrittenChunk, ...] = ()
    """Those written since the document's outcome before."""


@dataclass(frozen=True, slots=True)
class DocumentSummary:
    """A stored document."""

    document_id: str
    chunks: int
    expires: float | None = None
    """Epoch seconds; never when None."""


@dataclass(frozen=True, slots=True)
class Epoch:
    """Where a tenant's writes stand in one store. Two that differ in anything are different."""

    counter: str
    """Names what counts: a store that was made anew has another."""
    number: int
    """Rises with every write that changed something."""
    next_expiry: float | None = None
    """Epoch seconds at which the next document is no longer found: a change that no write makes."""


@dataclass(frozen=True, slots=True)
class Usage:
    """What a tenant holds."""

    documents: int
    chunks: int
