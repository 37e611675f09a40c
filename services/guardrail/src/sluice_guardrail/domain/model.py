"""The guardrail's nouns, frozen."""

from collections.abc import Iterable
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
    OUTPUT = "output"
    """Written by the model in this run."""


class Decision(IntEnum):
    """What a gate decides; a greater value is stricter."""

    ALLOW = 0
    FLAG = 1
    REDACT = 2
    BLOCK = 3


class ScanState(StrEnum):
    """What became of a detector."""

    SCANNED = "scanned"
    """It has seen all of the text."""
    PARTIAL = "partial"
    """Time or size ran out."""
    SKIPPED = "skipped"
    """It did not run, since something stricter had decided."""
    FAILED = "failed"
    """It failed; `onError` decided."""


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
    PROFANITY = "PROFANITY"
    """Profane words."""
    TOPIC = "TOPIC"
    """A subject that is not wanted."""
    CONTENT = "CONTENT"
    """Content that the policy does not want."""
    POLICY = "POLICY"
    """A policy in WebAssembly said so."""
    POLICY_FAILED = "POLICY_FAILED"
    """A policy in WebAssembly failed, and its `onError` denies."""
    NOT_SCANNED = "NOT_SCANNED"
    """Not all of the text was scanned in time."""
    OUTPUT_TOO_LONG = "OUTPUT_TOO_LONG"
    """The answer is longer than the policy allows, so it was not scanned whole."""


@dataclass(frozen=True, slots=True)
class Span:
    """Half-open range of code points."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks, as far as a check may depend on it."""

    tenant: str = ""
    request_id: str = ""
    """The run's id; empty outside of a run."""


NOBODY = Caller()


@dataclass(frozen=True, slots=True)
class Segment:
    """One text to screen."""

    channel: Channel
    role: str
    text: str


@dataclass(frozen=True, slots=True)
class Passage:
    """A piece of a document before a model reads it."""

    title: str
    text: str

    @property
    def read(self) -> str:
        """What is looked through: a title is part of what a passage says."""
        return f"{self.title}\n{self.text}" if self.title else self.text

    @property
    def text_start(self) -> int:
        """Where in that the text begins."""
        return len(self.title) + 1 if self.title else 0


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
    replacement: str | None = None
    """What a redaction puts in its place; None where nothing fits."""
    segment: int | None = None
    """In which segment the span lies, where a subject is made of several; None where it is one."""


@dataclass(frozen=True, slots=True)
class Detection:
    """What a detector makes of one subject."""

    findings: tuple[Finding, ...]
    score: float
    """0 to 1; also where nothing was found."""
    state: ScanState = ScanState.SCANNED
    detail: str = ""
    """Why it failed, or what it has not seen."""

    @classmethod
    def of(cls, findings: Iterable[Finding]) -> "Detection":
        """Of findings that hold all there is to say: the score is that of the best."""
        found = tuple(findings)
        return cls(found, max((finding.score for finding in found), default=0.0))


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
class Report:
    """What one detector has seen and decided over all texts of a check."""

    detector: str
    detector_version: str
    threshold_set: str
    """Which thresholds and calibration the scores go by."""
    state: ScanState
    score: float
    threshold: float
    decision: Decision
    milliseconds: float
    detail: str = ""
    settled: bool = False
    """What it has not seen is decided already, by its own `onError`."""


@dataclass(frozen=True, slots=True)
class Edit:
    """One change of a text."""

    span: Span
    """What is replaced, in the text as it was."""
    replacement: str


@dataclass(frozen=True, slots=True)
class Treated:
    """A text that a policy has changed."""

    segment: int
    text: str
    dropped: bool = False
    """Nothing of it may be used."""
    edits: tuple[Edit, ...] = ()
    """For a passage: what differs from its text, in order."""
    untitled: bool = False
    """For a passage: its title may not be used."""


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
    reports: tuple[Report, ...] = ()
    """Every detector that was to run, in the order they ran."""
    shadow: bool = False
    """The policy only records: `decision` is `ALLOW`, and `would` says what it had been."""
    would: Decision = Decision.ALLOW
    """What the findings call for, in either mode."""
    score: float = 0.0
    """How near it comes to a block: the highest score among detectors that block, else among all."""
    milliseconds: float = 0.0
    treated: tuple[Treated, ...] = ()
    """Segments or passages to be used in place of those that were screened."""
    redactions: tuple[Judged, ...] = ()
    """All that is to be replaced in what was screened; empty where the policy only records, or blocks."""
