"""What the mirror holds, as the snapshot is made of it. Reads memory alone."""

from collections.abc import Mapping, Sequence
from typing import Any

from sluice_api.errors import Problem
from sluice_api.loading import LoadedObject, parse
from sluice_api.objects.adapter_experiment import AdapterExperiment
from sluice_api.objects.base import SluiceObject
from sluice_api.objects.guardrail_policy import GuardrailPolicy
from sluice_api.objects.knowledge_base import KnowledgeBase
from sluice_api.objects.lora_adapter import LoRAAdapter
from sluice_api.objects.model_server import ModelServer
from sluice_api.objects.pipeline import Pipeline
from sluice_api.tolerant import Current, Key
from sluice_operator.cluster.protocol import Manifest
from sluice_operator.cluster.resources import resource_of
from sluice_operator.reconciling.mirror import Mirror

#: Shards of tenants are not among them: services learn of none but those in transition.
MODELS: tuple[type[SluiceObject], ...] = (
    ModelServer,
    LoRAAdapter,
    AdapterExperiment,
    KnowledgeBase,
    GuardrailPolicy,
    Pipeline,
)

_Status = Mapping[str, Any]


class Source:
    """Reads all objects of the snapshot's kinds. What has not changed in a way that matters is the same instance."""

    def __init__(self, mirror: Mirror) -> None:
        self._mirror = mirror
        self._known: dict[str, tuple[Manifest, Current]] = {}
        self._current: dict[Key, Current] = {}

    def changed(self) -> bool:
        """Reads anew; true where anything that matters to the snapshot is different from the last time."""
        known: dict[str, tuple[Manifest, Current]] = {}
        current: dict[Key, Current] = {}
        for model in MODELS:
            for manifest in self._mirror.all(resource_of(model)):
                metadata = manifest["metadata"]
                before = self._known.get(metadata["uid"])
                if before is None or before[0] is not manifest:
                    before = (manifest, _read(model, manifest, before[1] if before else None))
                known[metadata["uid"]] = before
                key = Key(model.KIND, metadata["namespace"], metadata["name"])
                # A name whose last bearer's end has not been heard of yet: the newer object has it.
                if key not in current or current[key].created_at < before[1].created_at:
                    current[key] = before[1]
        same = current.keys() == self._current.keys() and all(
            each is self._current[key] for key, each in current.items()
        )
        self._known, self._current = known, current
        return not same

    @property
    def current(self) -> Mapping[Key, Current]:
        """As of the last reading."""
        return self._current


def _read(model: type[SluiceObject], manifest: Manifest, before: Current | None) -> Current:
    metadata = manifest["metadata"]
    status = _relevant(model, manifest.get("status") or {})
    generation = int(metadata.get("generation") or 0)
    if before is not None and before.generation == generation and before.status == status:
        return before
    found = list(parse(metadata["namespace"], 0, _bare(model, manifest)))
    return Current(
        status=status,
        generation=generation,
        created_at=str(metadata.get("creationTimestamp") or ""),
        problems=tuple(each for each in found if isinstance(each, Problem)),
        object=next((each.object for each in found if isinstance(each, LoadedObject)), None),
    )


def _bare(model: type[SluiceObject], manifest: Manifest) -> dict[str, Any]:
    """What stands in files too: labels, annotations and status of an object are not the snapshot's."""
    metadata = manifest["metadata"]
    return {
        "apiVersion": manifest.get("apiVersion"),
        "kind": model.KIND,
        "metadata": {
            name: metadata[name] for name in ("name", "namespace", "generation") if name in metadata
        },
        "spec": manifest.get("spec"),
    }


def _relevant(model: type[SluiceObject], status: _Status) -> _Status:
    """What of a status is in the snapshot: a status changes much more often than that."""
    found: dict[str, Any] = {}
    if model is ModelServer:
        found = {"endpoints": status.get("endpoints")}
    elif model is AdapterExperiment:
        # A verdict from before an edit may be for an arm that the edit has taken away.
        found = {name: status.get(name) for name in ("promoted", "observedGeneration")}
    elif model is LoRAAdapter:
        conditions = status.get("conditions")
        ready = [
            {"type": "Ready", "status": each.get("status")}
            for each in (conditions if isinstance(conditions, Sequence) else ())
            if isinstance(each, Mapping) and each.get("type") == "Ready"
        ]
        found = {"engineName": status.get("engineName"), "conditions": ready}
    return {name: value for name, value in found.items() if value}
