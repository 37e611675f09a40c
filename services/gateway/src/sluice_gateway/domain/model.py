"""What a run works on. Passages and vectors stay as the services sent them; they are only passed on."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NewType, Protocol

from sluice_api.objects.retrieval import Retrieval

Vectors = NewType("Vectors", object)
"""A question's vectors, opaque here."""

FilterExpression = NewType("FilterExpression", object)
"""A filter that has been read, opaque here."""


class Leg(Protocol):
    """How a leg of the search placed a passage, as far as the gateway reads it."""

    @property
    def leg(self) -> str: ...


class Passage(Protocol):
    """What the gateway reads of a passage."""

    @property
    def document_id(self) -> str: ...
    @property
    def chunk_id(self) -> str: ...
    @property
    def knowledge_base(self) -> str: ...
    @property
    def title(self) -> str: ...
    @property
    def text(self) -> str: ...
    @property
    def score(self) -> float: ...
    @property
    def metadata_json(self) -> str: ...
    @property
    def legs(self) -> Iterable[Leg]: ...


@dataclass(frozen=True, slots=True)
class Principal:
    """Who asks."""

    tenant: str
    subject: str = ""
    roles: tuple[str, ...] = ()
    acl: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a conversation."""

    role: str
    content: str


@dataclass(frozen=True, slots=True)
class Sampling:
    """How to sample; None leaves the engine's default."""

    temperature: float | None = None
    top_p: float | None = None
    max_tokens: int | None = None
    stop: tuple[str, ...] = ()
    seed: int | None = None


@dataclass(frozen=True, slots=True)
class RunRequest:
    """A question to a pipeline."""

    pipeline: str
    principal: Principal
    messages: tuple[Message, ...]
    sampling: Sampling = field(default=Sampling())
    filter: FilterExpression | None = None
    retrieval: Retrieval = field(default=Retrieval())
    """Overrides the pipeline's."""
    stream: bool = False

    @property
    def question(self) -> str:
        """The last user message; empty where there is none."""
        return next((message.content for message in reversed(self.messages) if message.role == "user"), "")


class Decision(StrEnum):
    """What a gate decided."""

    ALLOW = "allow"
    FLAG = "flag"
    REDACT = "redact"
    BLOCK = "block"


@dataclass(frozen=True, slots=True)
class Finding:
    """What one detector found."""

    detector: str
    category: str
    score: float
    threshold: float
    decision: Decision
    segment: int
    start: int
    end: int
    view: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """A gate's decision."""

    decision: Decision
    reason: str = ""
    message: str = ""
    policy: str = ""
    policy_version: str = ""
    findings: tuple[Finding, ...] = ()
    partial: bool = False


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens read and written."""

    prompt_tokens: int = 0
    completion_tokens: int = 0


@dataclass(frozen=True, slots=True)
class Finish:
    """The end of a generated answer."""

    reason: str
    """`stop`, `length` or `content_filter`, as OpenAI names them."""
    usage: Usage = field(default=Usage())
    model: str = ""
    unanswerable: bool = False


@dataclass(frozen=True, slots=True)
class Rewritten:
    """A question as an engine has rewritten it; empty where it wrote nothing usable."""

    query: str
    usage: Usage = field(default=Usage())
    model: str = ""


@dataclass(frozen=True, slots=True)
class Reranked:
    """Passages in their new order."""

    passages: Sequence[Passage]
    scored: int
    model: str


@dataclass(frozen=True, slots=True)
class Released:
    """How much of a streamed answer has been screened."""

    characters: int
    verdict: Verdict
    final: bool
