"""How a run is to go: what is fixed before it starts, so that whoever executes it again goes the same way."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from sluice_api.objects.guardrail_policy import StreamingMode
from sluice_api.snapshot import CompiledPipeline
from sluice_gateway.domain.adapting.choosing import AdapterChoice
from sluice_gateway.domain.experimenting.assigning import Assignment
from sluice_gateway.domain.model import Decision, RunRequest
from sluice_gateway.domain.outputs import Outputs, Passing


@dataclass(frozen=True, slots=True)
class Guarding:
    """How a run is guarded, by its policy and its knowledge bases."""

    streaming: StreamingMode
    retrieval_waits: bool
    """Nothing is looked for before the input gate has decided."""
    canary: str
    """A random word for the prompt; none when empty."""


@dataclass(frozen=True, slots=True)
class Execution:
    """How one run is executed: as Express by default."""

    outputs: Outputs = field(default_factory=Passing)
    pins: Mapping[str, Decision] = field(default_factory=dict)
    """Gates' decisions that a person has turned, by step."""
    detail: Mapping[str, object] = field(default_factory=dict)
    """More that the journal is told at the start."""


@dataclass(frozen=True, slots=True)
class RunPlan:
    """What decides how a run goes: whoever executes it again by the same plan gives the same."""

    pipeline: CompiledPipeline
    guarding: Guarding
    request: RunRequest
    assignment: Assignment | None = None
    """The experiment's arm; `pipeline` is with its model."""
    adapter: AdapterChoice | None = None
    """The adapter that the request, its pipeline or selectors name; `pipeline` is with its name in the engine."""
