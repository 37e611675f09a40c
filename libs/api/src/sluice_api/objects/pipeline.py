"""`Pipeline` (`pl`): the run, as data. Its name is the `model` that OpenAI clients send."""

from enum import StrEnum
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from sluice_api.objects.answer_cache import AnswerCache
from sluice_api.objects.base import Duration, Model, Name, SluiceObject
from sluice_api.objects.retrieval import Retrieval
from sluice_api.objects.rounds import Rounds


class OnFail(StrEnum):
    """What a run does when a step has failed for good."""

    ABORT = "abort"
    """The run fails."""
    DEGRADE = "degrade"
    """The run goes on without the step's result and ends `degraded`."""


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
    retries: Annotated[int, Field(ge=0, le=10)] = 6
    """Further attempts after the first. With the default backoff six of them outlast a service's restart."""
    backoff: Duration = 0.1
    """Wait before the first retry; doubles each time, up to `maxBackoff`, with jitter."""
    max_backoff: Duration = 1.0
    """The longest wait between two attempts."""
    retry_on: tuple[RetryReason, ...] = (RetryReason.UNAVAILABLE,)
    """Failures that are retried; all others are final at once."""
    on_fail: OnFail = OnFail.ABORT
    """What the run does when the step has failed for good."""


class GuardStep(StepPolicy):
    """A gate. A gate never degrades: what was not screened does not pass."""

    on_fail: Literal[OnFail.ABORT] = OnFail.ABORT


class RewriteStep(StepPolicy):
    """Has an engine rewrite a question that leans on earlier turns; rules alone do it where this is absent."""

    timeout: Duration = 3.0
    retries: Annotated[int, Field(ge=0, le=10)] = 1
    on_fail: OnFail = OnFail.DEGRADE
    """`degrade`: the rules' query is used."""
    model_server_ref: Name
    """The `ModelServer` that rewrites; not an extractive one."""
    model_name: Annotated[str, Field(max_length=256)] = ""
    """A model or adapter on that server; its base model when empty."""
    max_tokens: Annotated[int, Field(ge=8, le=512)] = 96
    """The most tokens of the rewritten question."""


class RetrieveStep(StepPolicy):
    """Parameters of the staged query. Without passages there is nothing to answer from: it never degrades."""

    on_fail: Literal[OnFail.ABORT] = OnFail.ABORT
    top_k: Annotated[int, Field(ge=1, le=1000)] = 50
    """Candidates handed to the reranker."""
    parameters: Retrieval = Retrieval()
    """Overrides the knowledge base's; a request may override these."""


class RerankStep(StepPolicy):
    """Parameters of the second-stage ranking."""

    top_k: Annotated[int, Field(ge=1, le=100)] = 5
    """Passages handed to generation."""
    on_fail: OnFail = OnFail.DEGRADE


class GenerateStep(StepPolicy):
    """Parameters of generation."""

    on_fail: Literal[OnFail.ABORT] = OnFail.ABORT
    timeout: Duration = 30.0
    model_server_ref: Name
    """The `ModelServer` that writes the answer."""
    model_name: Annotated[str, Field(max_length=256)] = ""
    """A model or adapter on that server; its base model when empty."""
    instructions: Annotated[str, Field(max_length=8192)] = ""
    """What the system prompt says before the passages; the engine's default when empty."""
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


class Audit(StrEnum):
    """How the journal binds the answer."""

    REQUIRED = "required"
    """The answer leaves only after the journal has committed the run."""
    BEST_EFFORT = "bestEffort"
    """The answer does not wait; a journal that cannot keep up drops rows and counts them."""


class Payloads(StrEnum):
    """What is kept of the texts that a run works on, beside the journal, which holds none."""

    NONE = "none"
    """Nothing: such a run cannot be overridden, forked, resumed or promoted."""
    SEALED = "sealed"
    """Encrypted with a key of the run's own, which is destroyed after `payloadRetention`."""
    FULL = "full"
    """As it is, for as long as the journal."""


class RunPriority(StrEnum):
    """How urgent a run is: what is less urgent is refused first where there is too much to do."""

    INTERACTIVE = "interactive"
    """Somebody waits."""
    BATCH = "batch"
    """A program waits."""
    BACKGROUND = "background"
    """Nobody waits."""


class PipelineSpec(Model):
    """What a run does."""

    description: Annotated[str, Field(max_length=1024)] = ""
    knowledge_base_ref: Name
    """Where passages come from."""
    more_knowledge_base_refs: tuple[Name, ...] = ()
    """Where else they come from; what is found is ranked together."""
    guardrail_policy_ref: Name
    """What the gates apply."""
    timeout: Duration = 60.0
    """The most a whole run may take, retries included."""
    audit: Audit = Audit.REQUIRED
    payloads: Payloads = Payloads.SEALED
    payload_retention: Duration = 86400.0
    """How long sealed payloads can be read."""
    priority: RunPriority = RunPriority.INTERACTIVE
    """The most urgent that its runs are, whatever their callers ask for."""
    rounds: Rounds = Rounds()
    cache: AnswerCache = AnswerCache()
    steps: Steps


class Pipeline(SluiceObject):
    """The run: steps, their failure handling, and what they refer to."""

    KIND: ClassVar[str] = "Pipeline"
    SHORT_NAME: ClassVar[str] = "pl"
    PLURAL: ClassVar[str] = "pipelines"

    spec: PipelineSpec
