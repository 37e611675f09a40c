"""The steps of a pipeline: their parameters, and how their failures are handled."""

from enum import StrEnum
from typing import Annotated, ClassVar, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from sluice_api.objects.arranging import Arranging
from sluice_api.objects.base import Duration, Model, Name
from sluice_api.objects.cel import Rule
from sluice_api.objects.prompt import Prompt
from sluice_api.objects.ranker import Ranker
from sluice_api.objects.retrieval import Retrieval


class OnFail(StrEnum):
    """What a run does when a step has failed for good. `generate` may also say `catch:` and the name of a fallback."""

    ABORT = "abort"
    """The run fails."""
    DEGRADE = "degrade"
    """The run goes on without the step's result and ends `degraded`."""
    CATCH_GENERATE = "catch:generate"
    """The run goes on at `generate`, without passages, and ends `degraded`."""


_CATCH = "catch:"

#: A run tries so many at most, one after the other.
MAX_FALLBACKS = 5


def _names_none(on_fail: str) -> str:
    """In CEL: it catches nothing."""
    return f"!{on_fail}.startsWith('{_CATCH}')"


#: In CEL, of a list of one `onFail`: that of the fallback which it names, itself where it names none.
_NEXT = (
    f".map(each, {_names_none('each')} || !(each.substring(6) in self.fallbacks)"
    " ? each : self.fallbacks[each.substring(6)].onFail)"
)

#: The name of a fallback, and so the end of its step's name in a run.
FallbackName = Annotated[str, Field(min_length=1, max_length=32, pattern=r"^[a-z]([-a-z0-9]*[a-z0-9])?$")]


def _either(*possible: OnFail, why: str) -> BeforeValidator:
    """Refuses what makes no sense for a step, and says why."""

    def check(value: object) -> object:
        if value not in possible:
            raise ValueError(f"must be {' or '.join(possible)}, not {value!r}: {why}")
        return value

    return BeforeValidator(check)


def _abort_or_fallback(value: object) -> object:
    if value == OnFail.ABORT or (
        isinstance(value, str) and len(value) > len(_CATCH) and value.startswith(_CATCH)
    ):
        return value
    raise ValueError(
        f"must be abort or catch:NAME, not {value!r}: only a fallback of `steps.fallbacks` can answer instead"
    )


class RetryReason(StrEnum):
    """Failures worth another attempt."""

    UNAVAILABLE = "Unavailable"
    """The service could not be reached or is shutting down."""
    DEADLINE_EXCEEDED = "DeadlineExceeded"
    """The attempt's own timeout passed while the run still has time."""
    RESOURCE_EXHAUSTED = "ResourceExhausted"
    """The service shed the request."""


class StepPolicy(Model):
    """How one step is tried, and what its failure means."""

    timeout: Duration = 2.0
    """The most one attempt may take."""
    deadline: Duration | None = None
    """The most all attempts may take together, waits included; what the run has left when absent."""
    needs: Duration = 0.005
    """The least time an attempt can do anything with: none is begun when the run or the step has less left."""
    retries: Annotated[int, Field(ge=0, le=10)] = 6
    """Further attempts after the first. With the default backoff six of them outlast a service's restart."""
    backoff: Duration = 0.1
    """Wait before the first retry; doubles each time, up to `maxBackoff`, with jitter."""
    max_backoff: Duration = 1.0
    """The longest wait between two attempts."""
    retry_on: Annotated[tuple[RetryReason, ...], Field(max_length=8)] = (RetryReason.UNAVAILABLE,)
    """Failures that are retried; all others are final at once."""
    on_fail: str = OnFail.ABORT
    """What the run does when the step has failed for good."""


class GuardStep(StepPolicy):
    """A gate. A gate never degrades: what was not screened does not pass."""

    on_fail: Annotated[
        Literal[OnFail.ABORT], _either(OnFail.ABORT, why="what no gate has screened does not pass")
    ] = OnFail.ABORT


class RewriteStep(StepPolicy):
    """Has an engine rewrite a question that leans on earlier turns; rules alone do it where this is absent."""

    timeout: Duration = 3.0
    needs: Duration = 0.05
    retries: Annotated[int, Field(ge=0, le=10)] = 1
    on_fail: Annotated[
        Literal[OnFail.ABORT, OnFail.DEGRADE],
        _either(OnFail.ABORT, OnFail.DEGRADE, why="degrade goes on at retrieve, with the rules' query"),
    ] = OnFail.DEGRADE
    """`degrade`: the rules' query is used."""
    model_server_ref: Name
    """The `ModelServer` that rewrites; not an extractive one."""
    model_name: Annotated[str, Field(max_length=256)] = ""
    """A model or adapter on that server; its base model when empty."""
    max_tokens: Annotated[int, Field(ge=8, le=512)] = 96
    """The most tokens of the rewritten question."""


#: When a second attempt is started beside one that is still out.
HedgeAfter = Annotated[Duration, Field(gt=0.0)] | None


class RetrieveStep(StepPolicy):
    """Parameters of the staged query. In rounds after the first its failure only ends the rounds."""

    hedge_after: HedgeAfter = None
    """Starts a second attempt when one is still out after this time; the first good one wins. Off when absent."""
    on_fail: Annotated[
        Literal[OnFail.ABORT, OnFail.CATCH_GENERATE],
        _either(
            OnFail.ABORT,
            OnFail.CATCH_GENERATE,
            why="without passages there is nothing to rank or screen; catch:generate answers without them",
        ),
    ] = OnFail.ABORT
    top_k: Annotated[int, Field(ge=1, le=1000)] = 50
    """Candidates handed to the reranker."""
    parameters: Retrieval = Retrieval()
    """Overrides the knowledge base's; a request may override these."""


class RerankStep(StepPolicy):
    """Parameters of the second-stage ranking."""

    top_k: Annotated[int, Field(ge=1, le=100)] = 5
    """Passages handed to generation."""
    ranker: Ranker = Ranker()
    """Who orders them."""
    arrange: Arranging = Arranging()
    """What is done with the scores."""
    hedge_after: HedgeAfter = None
    """Starts a second attempt when one is still out after this time; the first good one wins. Off when absent."""
    on_fail: Annotated[
        Literal[OnFail.ABORT, OnFail.DEGRADE],
        _either(
            OnFail.ABORT,
            OnFail.DEGRADE,
            why="degrade goes on at guardPassages, with the retriever's order; no catch may pass by a gate",
        ),
    ] = OnFail.DEGRADE


class Generation(StepPolicy):
    """Who writes an answer, and how it is tried."""

    RULES: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "self.onFail == 'abort' || self.onFail.matches('^catch:.')",
            "onFail must be abort or catch:NAME: only a fallback of `steps.fallbacks` can answer instead",
            "_abort_or_fallback",
            "onFail",
        ),
    )

    on_fail: Annotated[str, Field(max_length=38), BeforeValidator(_abort_or_fallback)] = OnFail.ABORT
    """`catch:NAME` goes on with that one of `fallbacks`, up to the first piece of text, and the run ends `degraded`."""
    timeout: Duration = 30.0
    needs: Duration = 0.05
    model_server_ref: Name
    """The `ModelServer` that writes the answer."""
    model_name: Annotated[str, Field(max_length=256)] = ""
    """A model or adapter on that server; its base model when empty."""
    instructions: Annotated[str, Field(max_length=8192)] = ""
    """What the system prompt says before the passages; the engine's default when empty."""
    prompt: Prompt | None = None
    """What of passages and conversation the model reads, and how that is laid out."""

    @property
    def fallback(self) -> str:
        """The name of the fallback that goes on; empty where there is none."""
        return self.on_fail.removeprefix(_CATCH) if self.on_fail.startswith(_CATCH) else ""


class FallbackStep(Generation):
    """Another way to write the answer: the step `generate.NAME` of a run."""

    instructions: Annotated[str, Field(max_length=8192)] = ""
    """What the system prompt says before the passages; those of `generate` when empty."""
    prompt: Prompt | None = None
    """How the prompt is laid out; as for `generate` when absent."""


class GenerateStep(Generation):
    """Parameters of generation."""

    prompt: Prompt = Prompt()
    """What of passages and conversation the model reads, and how that is laid out."""
    sources: bool = True
    """Appends a list of the cited documents to the answer, so that every OpenAI client shows them."""


class Steps(Model):
    """The steps in the order they run."""

    guard_input: GuardStep = GuardStep()
    rewrite: RewriteStep | None = None
    retrieve: RetrieveStep = RetrieveStep()
    rerank: RerankStep = RerankStep()
    guard_passages: GuardStep = GuardStep()
    generate: GenerateStep
    guard_output: GuardStep = GuardStep()
    fallbacks: Annotated[dict[FallbackName, FallbackStep], Field(default={}, max_length=MAX_FALLBACKS)]
    """What `catch:NAME` of `generate`, or of another fallback, goes on with."""

    RULES: ClassVar[tuple[Rule, ...]] = (
        Rule(
            f"{_names_none('self.generate.onFail')} || self.generate.onFail.substring(6) in self.fallbacks",
            "generate.onFail names no fallback of that name: write it under steps.fallbacks",
            "_check_fallbacks",
            "generate.onFail",
        ),
        Rule(
            f"self.fallbacks.all(name, {_names_none('self.fallbacks[name].onFail')}"
            " || self.fallbacks[name].onFail.substring(6) in self.fallbacks)",
            "a fallback's onFail names no fallback of that name: write it under steps.fallbacks",
            "_check_fallbacks",
            "fallbacks",
        ),
        Rule(
            f"self.fallbacks.all(name, [self.fallbacks[name].onFail]{_NEXT * (MAX_FALLBACKS - 1)}"
            f".all(last, {_names_none('last')} || !(last.substring(6) in self.fallbacks)))",
            "a fallback's onFail leads back to a fallback that has failed already: end the chain with abort",
            "_check_fallbacks",
            "fallbacks",
        ),
        Rule(
            "self.fallbacks.all(name, self.generate.onFail == 'catch:' + name"
            " || self.fallbacks.exists(other, self.fallbacks[other].onFail == 'catch:' + name))",
            "a fallback is never used: have an onFail say catch:NAME, or leave the fallback out",
            "_check_fallbacks",
            "fallbacks",
        ),
    )

    @model_validator(mode="after")
    def _check_fallbacks(self) -> Self:
        """Every fallback is reached, once, and none leads back."""
        reached: list[str] = []
        step: Generation = self.generate
        while name := step.fallback:
            of = f"fallbacks.{reached[-1]}" if reached else "generate"
            if name not in self.fallbacks:
                known = ", ".join(sorted(self.fallbacks)) or "none"
                raise ValueError(f"{of}.onFail names no fallback of that name: {name!r}; there is: {known}")
            if name in reached:
                raise ValueError(f"{of}.onFail leads back to the fallback {name!r}")
            reached.append(name)
            step = self.fallbacks[name]
        if unreached := sorted(self.fallbacks.keys() - set(reached)):
            raise ValueError(f"fallbacks.{unreached[0]} is never used: no onFail says catch:{unreached[0]}")
        return self

    def chain(self) -> tuple[tuple[str, FallbackStep], ...]:
        """The fallbacks in the order in which they are tried, by name."""
        found: list[tuple[str, FallbackStep]] = []
        step: Generation = self.generate
        while name := step.fallback:
            step = self.fallbacks[name]
            found.append((name, step))
        return tuple(found)
