"""The adapters of a server as they take requests: read from their status. Pure but for the mirror."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from sluice_api.objects.lora_adapter import LoRAAdapter
from sluice_operator.cluster.protocol import Manifest
from sluice_operator.cluster.resources import resource_of
from sluice_operator.kinds.model_server.context import Serving
from sluice_operator.reconciling.mirror import Mirror

LORA_ADAPTERS: Final = resource_of(LoRAAdapter)

_LOADED: Final = "Loaded"


class Servings:
    """What is in rotation, by adapter: each is read once for every change of it, since a server is looked at for a
    change of any of its adapters."""

    def __init__(self, mirror: Mirror) -> None:
        self._mirror = mirror
        self._read: dict[str, dict[str, tuple[str, Serving]]] = {}
        """By the server's uid and the adapter's, with the version that was read."""

    def of_server(self, uid: str, namespace: str, name: str) -> Iterator[Serving]:
        """Those of a server that are not on their way out."""
        before, self._read[uid] = self._read.get(uid, {}), {}
        for adapter in self._mirror.all(LORA_ADAPTERS, namespace):
            metadata = adapter["metadata"]
            if server_of(adapter) != name or metadata.get("deletionTimestamp"):
                continue
            version, known = before.get(metadata["uid"], ("", None))
            if known is None or version != metadata["resourceVersion"]:
                known = serving(adapter)
            self._read[uid][metadata["uid"]] = metadata["resourceVersion"], known
            if known.engine_names:
                yield known

    def forget(self, uid: str) -> None:
        """The server is gone."""
        self._read.pop(uid, None)


def server_of(adapter: Manifest) -> str:
    """The name of an adapter's server."""
    return str((adapter.get("spec") or {}).get("modelServerRef") or "")


def serving(adapter: Manifest) -> Serving:
    """What an adapter's status says."""
    status: Mapping[str, Any] = adapter.get("status") or {}
    engine_name = str(status.get("engineName") or "")
    previous = str((status.get("previous") or {}).get("engineName") or "")
    # Of the spec's version it must be known where it can be asked before the alias becomes its name.
    coming = str((status.get("resolved") or {}).get("engineName") or "")
    engine_names = frozenset(filter(None, (engine_name, previous, coming)))
    pods: dict[tuple[str, int], frozenset[str]] = {}
    single = {name: frozenset({name}) for name in engine_names}
    for pod in status.get("pods") or ():
        if pod.get("state") == _LOADED and (name := pod.get("engineName")) in single:
            where = str(pod.get("podUid")), int(pod.get("restartCount") or 0)
            pods[where] = pods[where] | single[name] if where in pods else single[name]
    return Serving(engine_names, pods, frozenset(map(str, status.get("alsoLoaded") or ())), engine_name)
