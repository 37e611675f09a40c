"""The model of each step of a run: adapters by the engine's names, and the experiment's arm. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar

from prometheus_client import Counter

from sluice_api.objects.pipeline import PipelineSpec
from sluice_api.objects.steps import FallbackStep, GenerateStep, RewriteStep
from sluice_api.snapshot import Snapshot
from sluice_gateway.domain.adapting.choosing import AdapterChoice, choose
from sluice_gateway.domain.experimenting.assigning import Assignment, resolve_arm
from sluice_gateway.domain.model import RunRequest
from sluice_servicekit import telemetry_names as names

S = TypeVar("S", GenerateStep, RewriteStep, FallbackStep)
Step = GenerateStep | RewriteStep | FallbackStep

_PASSED_OVER = Counter(
    names.ADAPTERS_PASSED_OVER, "Runs that an adapter would have served, had it been ready", ("adapter",)
)


@dataclass(frozen=True, slots=True)
class Served:
    """A pipeline whose steps name what the engines serve."""

    spec: PipelineSpec
    adapter: AdapterChoice | None = None
    """None where the base model was asked for, or a name that no adapter has."""
    assignment: Assignment | None = None
    """The experiment's arm, which writes in place of the adapter."""

    @property
    def key(self) -> str:
        """Tells what writes the answer from all others: a part of a cache's key."""
        chosen = self.assignment or self.adapter
        return "" if chosen is None else chosen.key

    def count(self) -> None:
        """Counts the adapters that were not ready."""
        by_selectors = self.adapter.passed_over if self.adapter else ()
        by_arm = self.assignment.passed_over if self.assignment else ""
        for name in (*by_selectors, by_arm):
            if name:
                _PASSED_OVER.labels(name).inc()


def serve(snapshot: Snapshot, pipeline: PipelineSpec, request: RunRequest, run_id: str) -> Served:
    """Who writes the answer of a run that is to start.

    Args:
        run_id: Of the run, where an experiment deals out requests.

    Raises:
        ServiceError: as `choose` and `resolve_arm` do.
    """
    choice = choose(snapshot, pipeline, request)
    if choice is not None:
        pipeline = _with_steps(pipeline, {"generate": _renamed(pipeline.steps.generate, choice.model_name)})
    assignment = resolve_arm(snapshot, pipeline, request, run_id)
    return Served(_served(snapshot, pipeline, assignment), choice, assignment)


def _served(snapshot: Snapshot, pipeline: PipelineSpec, assignment: Assignment | None) -> PipelineSpec:
    if assignment is None and not snapshot.adapters:
        return pipeline
    steps = pipeline.steps
    split = (steps.generate.model_server_ref, steps.generate.model_name)

    def named(step: Step) -> str:
        alias = (step.model_server_ref, step.model_name)
        if assignment is not None and alias == split:
            return assignment.model_name
        found = snapshot.adapter_of(*alias)
        return step.model_name if found is None else found[1].engine_name

    update = {
        "generate": _renamed(steps.generate, named(steps.generate)),
        "rewrite": steps.rewrite and _renamed(steps.rewrite, named(steps.rewrite)),
        "fallbacks": {name: _renamed(step, named(step)) for name, step in steps.fallbacks.items()},
    }
    return _with_steps(pipeline, update)


def _renamed(step: S, model_name: str) -> S:
    return step if step.model_name == model_name else step.model_copy(update={"model_name": model_name})


def _with_steps(pipeline: PipelineSpec, update: Mapping[str, object]) -> PipelineSpec:
    return pipeline.model_copy(update={"steps": pipeline.steps.model_copy(update=update)})
