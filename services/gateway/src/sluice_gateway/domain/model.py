"""What a run works on. Passages and vectors stay as the services sent them; they are only passed on."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import NewType, Protocol

from sluice_api.objects.retrieval import Retrieval
from sluice_gateway.domain.admission.priority import Priority
from sluice_gateway.domain.pieces import Choice, Delta, Logprob
from sluice_gateway.domain.tools import NO_TOOLS, PROSE, AnswerForm, AnswerFormat, ToolCall, Tools

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
    key: str = ""
    """The name of the key, or of the issuer of the token, that it came with."""
    models: tuple[str, ...] | None = None
    """Models that it may ask, `*` within a name for any; None where all."""
    priority: Priority = Priority.INTERACTIVE

    def may_ask(self, model: str) -> bool:
        """True where it may ask a model."""
        return self.models is None or any(fnmatchcase(model, allowed) for allowed in self.models)


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a conversation."""

    role: str
    content: str
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str = ""
    """Of a `tool`: the call that it answers."""


@dataclass(frozen=True, slots=True)
class Sampling:
    """How to sample; None leaves the engine's default."""

    temperature: float | None = None
    top_p: float | None = None
    max_tokens: int | None = None
    stop: tuple[str, ...] = ()
    seed: int | None = None
    frequency_penalty: float | None = None
    presence_penalty: float | None = None
    logit_bias: tuple[tuple[int, float], ...] = ()
    """Token and what is added to its logit."""
    n: int = 1
    """Answers."""
    top_logprobs: int | None = None
    """Alternatives of each token's log probability; None asks for no log probabilities."""


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
    user: str = ""
    """Who asks through the principal, as the caller knows them; only ever hashed."""
    session: str = ""
    """The conversation that it is part of; only ever hashed."""
    arm: str = ""
    """Pins an experiment's arm, for admins only; such a run counts in no statistics."""
    adapter: str = ""
    """The alias of the adapter that is to answer; the pipeline's when empty."""
    task: str = ""
    locale: str = ""
    """What adapters are selected by, where none is named: a word of theirs, and a BCP 47 tag."""
    priority: Priority = Priority.INTERACTIVE
    """As the request says itself; the principal's holds where that is less urgent."""
    tools: Tools = field(default=NO_TOOLS)
    answer_format: AnswerFormat = field(default=PROSE)

    @property
    def model(self) -> str:
        """As the client names it: the pipeline, and the adapter if it names one."""
        return f"{self.pipeline}/{self.adapter}" if self.adapter else self.pipeline

    @property
    def question(self) -> str:
        """The last user message; empty where there is none."""
        return next((message.content for message in reversed(self.messages) if message.role == "user"), "")

    @property
    def tool_results(self) -> tuple[str, ...]:
        """What tools have given in the conversation."""
        return tuple(
            message.content for message in self.messages if message.role == "tool" and message.content
        )


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
class Report:
    """What one detector has seen and decided, whether or not it found anything."""

    detector: str
    version: str
    threshold_set: str
    """Which thresholds and calibration its scores go by."""
    state: str
    """`scanned`, `partial`, `skipped` or `failed`."""
    score: float
    threshold: float
    decision: Decision
    milliseconds: float
    detail: str = ""


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
    reports: tuple[Report, ...] = ()
    """Every detector that was to run, in the order they ran."""
    shadow: bool = False
    """The policy only records; `would` says what it had decided."""
    would: Decision = Decision.ALLOW
    score: float = 0.0
    milliseconds: float = 0.0


@dataclass(frozen=True, slots=True)
class TreatedSegment:
    """A text of a request that the input gate has changed."""

    segment: int
    """The message's index; behind the messages come the calls of tools, in order."""
    text: str
    """Empty where nothing of it may be used."""


@dataclass(frozen=True, slots=True)
class ScreenedInput:
    """The input gate's verdict, and what of the request it has changed."""

    verdict: Verdict
    treated: tuple[TreatedSegment, ...] = ()
    vault: bytes = b""
    """What was redacted, sealed; for the output gate alone."""


@dataclass(frozen=True, slots=True)
class ScreenedPassages:
    """The verdict on passages, and those that a model may read."""

    verdict: Verdict
    passages: Sequence[Passage]
    """As the policy has changed them, in their order."""
    withheld: Sequence[Passage] = ()
    changed: Sequence[Passage] = ()
    """Those of `passages` that are not as they were."""


@dataclass(frozen=True, slots=True)
class ScreenedOutput:
    """The output gate's verdict on a whole answer, and the answer as it may leave."""

    verdict: Verdict
    text: str


@dataclass(frozen=True, slots=True)
class Prepared:
    """What a model reads, where there is no room for all."""

    passages_read: int
    """The first so many passages. The others count as not retrieved: none may be cited."""
    turns_left_out: int = 0
    """Earlier turns of the conversation."""


def read(passages: Sequence[Passage], prepared: Prepared | None) -> Sequence[Passage]:
    """The passages that a model has read."""
    return passages if prepared is None else passages[: prepared.passages_read]


@dataclass(frozen=True, slots=True)
class AnswerContext:
    """What an answer is checked against."""

    policy: str
    principal: Principal
    run_id: str
    question: str
    passages: Sequence[Passage]
    """As the model has read them; they have been screened."""
    vault: bytes = b""
    canaries: tuple[str, ...] = ()
    form: AnswerForm = AnswerForm.PROSE
    arguments: bool = False
    """The text is not the answer but the arguments of a tool's call."""
    tool_results: tuple[str, ...] = ()
    """What the answer may rest on besides the passages."""

    def as_read(self, prepared: Prepared | None) -> "AnswerContext":
        """Against the passages that the model has read."""
        return self if prepared is None else replace(self, passages=read(self.passages, prepared))


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens read and written."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    """Of all answers."""
    estimated: bool = False
    """The engine has not counted them itself."""


@dataclass(frozen=True, slots=True)
class Finish:
    """The end of a generated answer, or of all that were asked for."""

    reason: str
    """`stop`, `length`, `content_filter` or `tool_calls`, as OpenAI names them."""
    usage: Usage = field(default=Usage())
    model: str = ""
    unanswerable: bool = False
    degraded: str = ""
    """Why a fallback has written it; empty where `generate` has."""
    tool_calls: tuple[ToolCall, ...] = ()
    """Of the first answer, whole; empty where it calls none."""
    logprobs: tuple[Logprob, ...] = ()
    """Of the first answer."""
    others: tuple[Choice, ...] = ()
    """The answers behind the first."""
    system_fingerprint: str = ""
    prepared: Prepared | None = None
    """None where the model has read all."""
    replica: str = ""
    """The replica of the model server that wrote it; empty where it has none."""
    queued_seconds: float = 0.0
    """For which the request waited for a replica."""


#: What an engine says while it answers. Text of the first answer comes as `str`; `Usage` is what was used up to there.
#: `Prepared` comes before all else.
Writing = Prepared | str | Delta | Usage | Finish


@dataclass(frozen=True, slots=True)
class Rewritten:
    """A question as an engine has rewritten it; empty where it wrote nothing usable."""

    query: str
    usage: Usage = field(default=Usage())
    model: str = ""


@dataclass(frozen=True, slots=True)
class Reworded:
    """What an engine would look for where a question alone found too little; empty where it wrote nothing usable."""

    queries: tuple[str, ...]
    usage: Usage = field(default=Usage())
    model: str = ""


@dataclass(frozen=True, slots=True)
class Reranked:
    """Passages in their new order."""

    passages: Sequence[Passage]
    scored: int
    model: str
    partial_reason: str = ""
    """Why not all were scored that should have been; empty where all were."""

    @property
    def detail(self) -> dict[str, object]:
        """What the journal says of it, beside the passages."""
        partial = {"partial_reason": self.partial_reason} if self.partial_reason else {}
        return {"scored": self.scored, "model": self.model, **partial}


@dataclass(frozen=True, slots=True)
class Released:
    """What of a streamed answer may leave since the last one of these."""

    text: str
    verdict: Verdict
    final: bool
