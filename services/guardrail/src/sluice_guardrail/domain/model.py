"""The guardrail's nouns, frozen."""

from dataclasses import dataclass
from enum import IntEnum, StrEnum


class Channel(StrEnum):
    """Where a text came from; the same words are harmless from a user and hostile in a document."""

    USER = "user"
    """Written by the caller, or by the model in an earlier turn."""
    DOCUMENT = "document"
    """Retrieved from a knowledge base."""
    TOOL = "tool"
    """A tool's arguments or result."""


class Decision(IntEnum):
    """What a gate decides; a greater value is stricter."""

    ALLOW = 0
    FLAG = 1
    BLOCK = 2


class Gate(StrEnum):
    """Which of the two gates decides."""

    INPUT = "input"
    OUTPUT = "output"


class Reason(StrEnum):
    """Stable words for why a gate did not simply allow."""

    PROMPT_INJECTION = "PROMPT_INJECTION"
    """The caller tries to override or read out the instructions."""
    DOCUMENT_INJECTION = "DOCUMENT_INJECTION"
    """A passage or a tool's result tries to instruct the model."""
    INPUT_TOO_LONG = "INPUT_TOO_LONG"
    """The input is longer than the policy allows, so it was not scanned."""
    UNRESOLVED_CITATION = "UNRESOLVED_CITATION"
    """The answer cites a passage that does not exist."""
    UNGROUNDED = "UNGROUNDED"
    """The passages do not carry what the answer claims."""
    PII = "PII"
    """The request or the answer holds personal data."""
    PROMPT_LEAK = "PROMPT_LEAK"
    """The answer shows instructions or chat markup of the prompt."""
    OUTPUT_TOO_LONG = "OUTPUT_TOO_LONG"
    """The answer is longer than the policy allows, so it was not scanned whole."""


@dataclass(frozen=True, slots=True)
class Span:
    """Half-open range of code points."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Segment:
    """One text to screen."""

    channel: Channel
    role: str
    text: str


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer and what it was made from."""

    question: str
    text: str
    passages: tuple[str, ...]
    """In citation order: passage `i` is cited as `[i+1]`."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What a detector found, before any policy is applied to it."""

    category: str
    score: float
    """0 to 1."""
    span: Span
    """Where in the original text."""
    view: str = "raw"
    """Which view of the text fired."""


@dataclass(frozen=True, slots=True)
class Judged:
    """A finding and what the policy makes of it."""

    finding: Finding
    detector: str
    detector_version: str
    threshold: float
    decision: Decision
    reason: Reason
    segment: int = 0
    """Which segment of the input, or which passage; 0 for the answer itself."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """A gate's decision and everything that led to it."""

    decision: Decision
    reason: Reason | None
    """None when allowed."""
    message: str
    """The reason in words that the end user may read; empty when allowed."""
    findings: tuple[Judged, ...]
    """Strictest first."""
    policy: str
    policy_version: str
    partial: bool = False
    """True where not all of the text could be scanned."""
