"""Which adapters an experiment has done with, by what its status says."""

from sluice_api.objects.adapter_experiment import AdapterExperiment
from sluice_operator.cluster.protocol import Manifest
from sluice_operator.cluster.resources import resource_of
from sluice_operator.reconciling.mirror import Mirror

EXPERIMENTS = resource_of(AdapterExperiment)


def retired_by(mirror: Mirror, namespace: str, adapter: str) -> str:
    """The experiment that has retired an adapter; the first by name where there are several, none where empty."""
    found = (each for each in mirror.all(EXPERIMENTS, namespace) if adapter in retired_of(mirror, each))
    return min((str(each["metadata"]["name"]) for each in found), default="")


def retired_of(mirror: Mirror, experiment: Manifest) -> frozenset[str]:
    """Whom an experiment retires: nobody once it is gone, or is being deleted."""
    metadata = experiment["metadata"]
    if mirror.by_uid(EXPERIMENTS, metadata["uid"]) is None or metadata.get("deletionTimestamp"):
        return frozenset()
    names = (experiment.get("status") or {}).get("retired")
    return frozenset(map(str, names)) if isinstance(names, list) else frozenset()
