"""The adapters of a server as they take requests: read from their status. Pure but for the mirror."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any, Final

from sluice_api.objects.lora_adapter import LoRAAdapter
from sluice_operator.cluster.protocol import Manifest
from sluice_operator.cluster.resources import resource_of
from sluice_operator.kinds.model_server.context import Serving
from sluice_operator.reconciling.mirror import Mirror

LORA_ADAPTERS: Final = resource_of(LoRAAdapter)

_LOADED: Final = "Loaded"


def of_server(mirror: Mirror, namespace: str, server: str) -> Iterator[Serving]:
    """Those that are not on their way out."""
    for adapter in mirror.all(LORA_ADAPTERS, namespace):
        leaving = adapter["metadata"].get("deletionTimestamp")
        if server_of(adapter) == server and not leaving and (found := _serving(adapter)).engine_names:
            yield found


def server_of(adapter: Manifest) -> str:
    """The name of an adapter's server."""
    return str((adapter.get("spec") or {}).get("modelServerRef") or "")


def _serving(adapter: Manifest) -> Serving:
    status: Mapping[str, Any] = adapter.get("status") or {}
    engine_name = str(status.get("engineName") or "")
    previous = str((status.get("previous") or {}).get("engineName") or "")
    engine_names = frozenset(filter(None, (engine_name, previous)))
    pods: dict[tuple[str, int], set[str]] = defaultdict(set)
    for pod in status.get("pods") or ():
        if pod.get("state") == _LOADED and pod.get("engineName") in engine_names:
            where = str(pod.get("podUid")), int(pod.get("restartCount") or 0)
            pods[where].add(str(pod["engineName"]))
    return Serving(
        engine_names,
        {where: frozenset(loaded) for where, loaded in pods.items()},
        frozenset(map(str, status.get("alsoLoaded") or ())),
        engine_name,
    )
