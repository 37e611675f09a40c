"""The reranker's nouns, frozen."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Question:
    """What was asked."""

    text: str
    tokens: Floats = field(default_factory=lambda: np.empty((0, 0), np.float32))
    """The vectors of its tokens, each of length 1, shape (tokens, components); no rows where none were sent."""
    model_digest: str = ""
    """Names the model that made them."""


@dataclass(frozen=True, slots=True)
class Placed:
    """Where a leg of retrieval placed a candidate."""

    rank: int
    """From 0."""
    score: float
    """The leg's own; higher is better."""


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence of a candidate: its place in the text, and its cosine with the question."""

    start: int
    end: int
    similarity: float


@dataclass(frozen=True, slots=True)
class Candidate:
    """A passage to be ranked."""

    title: str
    text: str
    score: float
    """Of the retriever's fusion."""
    legs: Mapping[str, Placed] = field(default_factory=dict)
    """By the leg's name; one that did not find it is absent."""
    sentences: tuple[Sentence, ...] = ()
    knowledge_base: str = ""
    metadata_json: str = ""
    """The document's, a JSON object."""


@dataclass(frozen=True, slots=True)
class SourceScore:
    """Where a source placed a candidate: the ranker, the retrieval or one of its legs."""

    source: str
    rank: int
    """From 0, among the candidates that were ranked."""
    score: float
    """The source's own."""


@dataclass(frozen=True, slots=True)
class Ranked:
    """A candidate's place in the new order."""

    index: int
    """In the order given."""
    score: float
    """0 to 1."""
    sources: tuple[SourceScore, ...] = ()
    """What the sources say of it; kept where a pipeline arranges."""
    duplicates: tuple[int, ...] = ()
    """Candidates of the same text, which it stands for."""


@dataclass(frozen=True, slots=True)
class Ranking:
    """The new order."""

    best: tuple[Ranked, ...]
    scored: int
    """Candidates that were scored before time ran out; the others follow them in the order given."""
    partial_reason: str = ""
    """Why others were not: `deadline`, or the reason of a failure; empty where all were that had to be."""
