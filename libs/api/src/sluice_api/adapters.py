"""Adapters on their way into the snapshot: what the operator says of them in their status. Pure."""

from collections import defaultdict
from collections.abc import Mapping

from sluice_api.objects.lora_adapter import LoRAAdapter
from sluice_api.snapshot import CompiledAdapter
from sluice_api.statuses.lora_adapter import LoRAAdapterStatus, PodState


def compiled(adapter: LoRAAdapter) -> CompiledAdapter:
    """An adapter whose references resolve."""
    spec = adapter.spec
    return CompiledAdapter(
        model_server=spec.model_server_ref,
        model_name=spec.model_name,
        engine_name=served_name(adapter),
        revision=spec.revision,
        selectors=spec.selectors,
        tenants=spec.tenants,
        resting=is_resting(adapter),
    )


def served_name(adapter: LoRAAdapter) -> str:
    """The name that an engine serves an adapter under: the operator's, which has the version in it, else its alias."""
    return str(adapter.status.get("engineName") or adapter.spec.model_name)


def is_resting(adapter: LoRAAdapter) -> bool:
    """True where the operator says that it is not ready; without an operator nobody says so."""
    conditions = adapter.status.get("conditions")
    return any(
        condition.get("type") == "Ready" and condition.get("status") != "True"
        for condition in (conditions if isinstance(conditions, list) else ())
        if isinstance(condition, dict)
    )


def names_in_rotation(status: LoRAAdapterStatus) -> Mapping[str, frozenset[str]]:
    """By pod uid, the names in the engine that requests may be sent to: of the version in rotation, of the one before,
    which requests may still name, and of the spec's, which must be known before the alias becomes its name."""
    versions = (status.in_rotation, status.previous, status.resolved)
    names = {status.engine_name, *(each.engine_name for each in versions if each)} - {""}
    found: dict[str, set[str]] = defaultdict(set)
    for each in status.pods:
        if each.state is PodState.LOADED and each.engine_name in names:
            found[each.pod_uid].add(each.engine_name)
    for uid in status.also_loaded:
        found[uid].add(status.engine_name)
    return {uid: frozenset(there) for uid, there in found.items()}
