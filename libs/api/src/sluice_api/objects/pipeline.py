"""`Pipeline` (`pl`): the run, as data. Its name is the `model` that OpenAI clients send."""

from enum import StrEnum
from typing import Annotated, ClassVar, Self

from pydantic import Field, model_validator

from sluice_api.objects.answer_cache import AnswerCache
from sluice_api.objects.base import Duration, Model, Name, SluiceObject
from sluice_api.objects.cel import Rule
from sluice_api.objects.rounds import Rounds
from sluice_api.objects.steps import Steps


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
    more_knowledge_base_refs: Annotated[tuple[Name, ...], Field(max_length=64)] = ()
    """Where else they come from; what is found is ranked together."""
    guardrail_policy_ref: Name
    """What the gates apply."""
    timeout: Duration = 60.0
    """The most a whole run may take, retries included."""
    audit: Audit = Audit.REQUIRED
    payloads: Payloads = Payloads.SEALED
    payload_retention: Duration = 86400.0
    """How long sealed payloads can be read."""
    promote: bool = False
    """A run that fails because a service cannot be reached, is too late or sheds load goes on in the background from
    the step that failed; needs `payloads`."""
    priority: RunPriority = RunPriority.INTERACTIVE
    """The most urgent that its runs are, whatever their callers ask for."""
    rounds: Rounds = Rounds()
    cache: AnswerCache = AnswerCache()
    steps: Steps

    RULES: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "!self.promote || self.payloads != 'none'",
            "promote needs payloads: a run goes on with what its steps have given; use sealed or full",
            "_promotes_what_is_kept",
            "payloads",
        ),
    )

    @model_validator(mode="after")
    def _promotes_what_is_kept(self) -> Self:
        if self.promote and self.payloads is Payloads.NONE:
            raise ValueError("promote needs payloads: a run goes on with what its steps have given")
        return self


class Pipeline(SluiceObject):
    """The run: steps, their failure handling, and what they refer to."""

    KIND: ClassVar[str] = "Pipeline"
    SHORT_NAME: ClassVar[str] = "pl"
    PLURAL: ClassVar[str] = "pipelines"

    spec: PipelineSpec
