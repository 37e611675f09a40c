"""Arms, and whether their adapters can take traffic. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass

from sluice_api.adapters import served_name
from sluice_api.objects.adapter_experiment import AdapterExperimentSpec, Arm, Role
from sluice_api.objects.lora_adapter import LoRAAdapter


@dataclass(frozen=True, slots=True)
class ArmView:
    """An arm as it stands."""

    arm: Arm
    adapter: LoRAAdapter | None
    """None for the base model, and where there is none of the name."""
    model: str
    """What the engine serves it under; empty for the base model."""
    ready: bool
    why: str = ""
    """Where it is not ready: what its adapter says."""

    @property
    def name(self) -> str:
        """Its name."""
        return self.arm.name


def views(spec: AdapterExperimentSpec, adapters: Mapping[str, LoRAAdapter]) -> tuple[ArmView, ...]:
    """All arms, in the spec's order."""
    return tuple(_view(arm, adapters) for arm in spec.arms)


def control_of(spec: AdapterExperimentSpec) -> Arm:
    """The arm that the others are held to."""
    return next(arm for arm in spec.arms if arm.role is Role.CONTROL)


def _view(arm: Arm, adapters: Mapping[str, LoRAAdapter]) -> ArmView:
    if arm.adapter_ref is None:
        return ArmView(arm, None, "", ready=True)
    adapter = adapters.get(arm.adapter_ref)
    if adapter is None:
        return ArmView(arm, None, "", ready=False, why=f"there is no LoRAAdapter {arm.adapter_ref}")
    ready, why = _readiness(adapter)
    return ArmView(arm, adapter, served_name(adapter), ready, why)


def _readiness(adapter: LoRAAdapter) -> tuple[bool, str]:
    """Unlike the snapshot, which must do without an operator, nothing is taken for ready that nobody has looked at."""
    name, conditions = adapter.metadata.name, adapter.status.get("conditions")
    for condition in conditions if isinstance(conditions, list) else ():
        if isinstance(condition, dict) and condition.get("type") == "Ready":
            if condition.get("status") == "True":
                return True, ""
            said = condition.get("message") or condition.get("reason") or "it is not ready"
            return False, f"LoRAAdapter {name}: {said}"
    return False, f"LoRAAdapter {name} has not been looked at yet"
