"""What crosses the pipe to the worker process: plain, picklable, frozen."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sluice_api.filtering import Filter
from sluice_api.objects.retrieval import TokenMatch
from sluice_retriever.domain.model import Chunk, Floats, Leg, Passage, QuestionVectors, Reader
from sluice_retriever.domain.parameters import Parameters


class NotOpen(Exception):
    """The worker does not hold the knowledge base open."""


class WriteLost(Exception):
    """The worker knows nothing of a write that is said to go on: it was replaced on the way."""


class CannotOpen(Exception):
    """A knowledge base cannot be opened as its spec says."""


@dataclass(frozen=True, slots=True)
class Coded:
    """A chunk's vectors as they are stored."""

    dense: Floats
    """Shape (dimension,), L2-normalised."""
    tokens: Mapping[TokenMatch, npt.NDArray[np.uint8]]
    """For each way to match that is stored, rows; see `coding` and `exact_tokens`."""
    sentences: npt.NDArray[np.int8]
    """Shape (sentences, 384), see `coding`."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A chunk to store, or as it is stored."""

    chunk: Chunk
    chunk_id: str
    title: str
    """Document's title and headings: the line that is encoded before the text."""
    coded: Coded


@dataclass(frozen=True, slots=True)
class Part:
    """A run of one document's chunks; a large document is written in several parts."""

    write_id: str
    """Unique to this write of the document, whatever its content."""
    tenant: str
    document_id: str
    digest: str
    metadata_json: str
    acl: tuple[str, ...]
    expires: float | None
    """Epoch seconds; never when None."""
    pieces: tuple[Piece, ...]
    start: int
    """The first piece's ordinal in its document."""
    total: int | None
    """Chunks of the whole document where this part ends it."""

    @property
    def first(self) -> bool:
        """Nothing of this write was sent before."""
        return self.start == 0


@dataclass(frozen=True, slots=True)
class Stored:
    """What is stored of a document."""

    digest: str
    chunks: int
    write_id: str
    expires: float | None = None


@dataclass(frozen=True, slots=True)
class Stocked:
    """A document in force, whoever's."""

    tenant: str
    document_id: str
    write_id: str
    digest: str
    chunks: int
    expires: float | None


@dataclass(frozen=True, slots=True)
class Lookup:
    """A staged query of one reader."""

    reader: Reader
    query: str
    vectors: QuestionVectors
    top_k: int
    parameters: Parameters
    filter: Filter | None
    now: float
    """Epoch seconds: what has expired by then is not found."""
    acorn: bool = False
    """A graph is searched by ACORN."""


@dataclass(frozen=True, slots=True)
class Found:
    """What a staged query found."""

    passages: list[Passage]
    candidates: dict[Leg, int]
    """Candidates by leg."""
    chosen: int
    """Candidates that were returned, before some of them were joined to one passage."""
    degraded: tuple[str, ...] = ()
    """Legs that failed or came too late, as the reply says it."""
