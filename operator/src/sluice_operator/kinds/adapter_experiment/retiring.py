"""Which adapters have lost, and which of them may be unloaded. Pure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sluice_api.objects.adapter_experiment import AdapterExperimentSpec, Decommission
from sluice_api.objects.lora_adapter import LoRAAdapter
from sluice_api.objects.pipeline import Pipeline
from sluice_operator.kinds.adapter_experiment.arms import ArmView
from sluice_operator.kinds.adapter_experiment.context import Surroundings


@dataclass(frozen=True, slots=True)
class Losers:
    """Adapters of arms that another arm was promoted over, by name."""

    kept: tuple[str, ...] = ()
    """Nothing is done about them."""
    used: tuple[tuple[str, str], ...] = ()
    """They stay, and what uses them."""
    waiting: tuple[str, ...] = ()
    """Their rollback window is open, or the winner is not ready yet."""
    retired: tuple[str, ...] = ()
    until: float | None = None
    """When the first of those that wait is retired, where that is only a matter of time."""

    @property
    def some(self) -> bool:
        """True where there are any."""
        return bool(self.kept or self.used or self.waiting or self.retired)


def losers(
    spec: AdapterExperimentSpec,
    arms: Sequence[ArmView],
    promoted: str,
    promoted_at: float,
    before: Sequence[str],
    around: Surroundings,
    now: float,
) -> Losers:
    """What becomes of whom.

    Args:
        promoted: The arm that has all traffic; nobody has lost where empty.
        before: Who was retired until now: they stay so, whatever becomes of the winner.
    """
    winner = next((arm for arm in arms if arm.name == promoted), None)
    if winner is None:
        return Losers()
    lost = {arm.adapter.metadata.name: arm.adapter for arm in arms if arm.adapter is not None}
    lost.pop(winner.arm.adapter_ref or "", None)
    if spec.decommission is Decommission.KEEP:
        return Losers(kept=tuple(sorted(lost)))
    used, waiting, retired, ends = [], [], [], []
    for name, adapter in sorted(lost.items()):
        end = promoted_at + adapter.spec.rollback_window
        if users := sorted(_users(spec, adapter, around)):
            used.append((name, ", ".join(users)))
        elif name in before or (now >= end and winner.ready):
            retired.append(name)
        else:
            waiting.append(name)
            ends.append(end)
    return Losers((), tuple(used), tuple(waiting), tuple(retired), min(ends, default=None))


def _users(spec: AdapterExperimentSpec, adapter: LoRAAdapter, around: Surroundings) -> Iterator[str]:
    name = adapter.metadata.name
    for other in around.experiments:
        if any(arm.adapter_ref == name for arm in other.spec.arms):
            yield f"AdapterExperiment {other.metadata.name}"
    if adapter.spec.selectors.task or adapter.spec.selectors.locale:
        yield "its own selectors"
    for pipeline in around.pipelines:
        if _names(pipeline, spec, adapter):
            yield f"Pipeline {pipeline.metadata.name}"


def _names(pipeline: Pipeline, spec: AdapterExperimentSpec, adapter: LoRAAdapter) -> bool:
    """Whether a pipeline asks for the adapter's alias, unless the experiment answers for it."""
    steps = pipeline.spec.steps
    model = (adapter.spec.model_server_ref, adapter.spec.model_name)
    split = (spec.model_server_ref, spec.model_name)
    if model == split == (steps.generate.model_server_ref, steps.generate.model_name):
        return False
    asked = (steps.generate, steps.rewrite, *steps.fallbacks.values())
    return any(step is not None and (step.model_server_ref, step.model_name) == model for step in asked)
