"""How a run ends: with a result, blocked by a gate, or with an error of a step."""

from dataclasses import dataclass, field
from enum import StrEnum

from prometheus_client import Counter

from sluice_gateway.domain.answer import Citation
from sluice_gateway.domain.model import Decision, Finding, Usage, Verdict
from sluice_gateway.domain.pieces import Logprob
from sluice_gateway.domain.run import RunState
from sluice_gateway.domain.tools import ToolCall
from sluice_servicekit import telemetry_names as names
from sluice_servicekit.errors import ServiceError

#: The step that a question fails at which cannot become a run.
ADMIT = "admit"

RUNS = Counter(names.RUNS_TOTAL, "Runs by how they ended", ("pipeline", "state"))


@dataclass(frozen=True, slots=True)
class Flag:
    """A finding that did not end the run."""

    step: str
    finding: Finding


def flags(step: str, verdict: Verdict, *, withholds: bool = False) -> tuple[Flag, ...]:
    """What a gate's verdict flags or redacts, and where it withholds what it blocks, that too. Findings below their
    threshold are no flags, and those of a policy that only records are nobody's to read."""
    if verdict.shadow:
        return ()
    shown = {Decision.FLAG, Decision.REDACT, *([Decision.BLOCK] if withholds else [])}
    return tuple(Flag(step, finding) for finding in verdict.findings if finding.decision in shown)


class CacheDecision(StrEnum):
    """Where an answer comes from."""

    HIT = "hit"
    """It was made before."""
    MISS = "miss"
    """It was looked for, and then made."""
    BYPASS = "bypass"
    """It was made without looking."""
    COALESCED = "coalesced"
    """Another run has made it meanwhile."""


@dataclass(frozen=True, slots=True)
class CacheUse:
    """What the cache had to do with an answer."""

    decision: CacheDecision
    kind: str = ""
    """Of a hit: `exact` or `semantic`."""
    run_id: str = ""
    """The run that made the answer, where it is another one."""
    similarity: float | None = None
    """Of a semantic hit: the cosine of the two questions' vectors."""
    age: float | None = None
    """Of a hit: seconds since it was made."""
    reason: str = ""
    """Why it was not looked for."""

    @property
    def word(self) -> str:
        """As `x-sluice-cache` says it: `hit`, `semantic`, `miss`, `coalesced` or `bypass`."""
        return "semantic" if self.kind == "semantic" else str(self.decision)

    def detail(self) -> dict[str, object]:
        """All of it that says something."""
        facts = {
            "kind": self.kind,
            "run_id": self.run_id,
            "similarity": None if self.similarity is None else round(self.similarity, 4),
            "age_seconds": None if self.age is None else round(self.age, 3),
            "reason": self.reason,
        }
        return {name: fact for name, fact in facts.items() if fact not in (None, "")}


@dataclass(frozen=True, slots=True)
class AnswerChoice:
    """One of the answers that a caller gets."""

    text: str
    finish_reason: str
    citations: tuple[Citation, ...] = ()
    tool_calls: tuple[ToolCall, ...] = ()
    logprobs: tuple[Logprob, ...] = ()
    """Of the tokens that the text begins with; empty where they were not asked for, or the gate has changed it."""


@dataclass(frozen=True, slots=True)
class RunResult:
    """An answer, or a gate's refusal."""

    run_id: str
    state: RunState
    text: str
    finish_reason: str
    citations: tuple[Citation, ...] = ()
    usage: Usage = field(default=Usage())
    verdict: Verdict | None = None
    """The verdict of the gate that blocked, or of the output gate."""
    model: str = ""
    unanswerable: bool = False
    """The text says that the documents do not hold the answer."""
    flags: tuple[Flag, ...] = ()
    """What either gate flagged, the input gate's first."""
    cache: CacheUse | None = None
    """None where the pipeline has no cache."""
    experiment: str = ""
    arm: str = ""
    """The experiment's arm that wrote it; empty where there is none."""
    adapter: str = ""
    """The alias of the adapter that was asked for, or chosen; empty for the base model."""
    tool_calls: tuple[ToolCall, ...] = ()
    logprobs: tuple[Logprob, ...] = ()
    others: tuple[AnswerChoice, ...] = ()
    """The answers behind the first."""
    system_fingerprint: str = ""
    """The engine's configuration, as it names it."""
    fault: str = ""
    """What is wrong with the answer's form; empty where it is as it was asked for."""
    refused: bool = False
    """The text is no answer in the form that was asked for but says why there is none."""

    @property
    def choices(self) -> tuple[AnswerChoice, ...]:
        """All answers."""
        first = AnswerChoice(self.text, self.finish_reason, self.citations, self.tool_calls, self.logprobs)
        return (first, *self.others)


class RunFailedError(Exception):
    """A run has failed; its journal is complete."""

    def __init__(self, run_id: str, step: str, error: ServiceError) -> None:
        super().__init__(error.message)
        self.run_id = run_id
        self.step = step
        self.error = error


class BlockedError(Exception):
    """A gate has said no."""

    def __init__(self, step: str, verdict: Verdict) -> None:
        super().__init__(verdict.reason)
        self.step = step
        self.verdict = verdict
