"""Where inference sends requests: the pods that answer, and the adapters in rotation on each. Pure."""

from collections.abc import Iterable, Iterator, Sequence

from sluice_api.snapshot import Endpoint
from sluice_operator.kinds.model_server import layout
from sluice_operator.kinds.model_server.context import Serving
from sluice_operator.kinds.model_server.replicas import Replica


def endpoints(replicas: Sequence[Replica], adapters: Iterable[Serving]) -> tuple[Endpoint, ...]:
    """By name. A pod that is being deleted is there as long as it answers, and draining."""
    ready = [each for each in replicas if each.ready]
    loaded: dict[str, list[str]] = {each.uid: [] for each in ready}
    for adapter in adapters:
        for replica in ready:
            loaded[replica.uid] += _names(adapter, replica)
    return tuple(
        Endpoint(
            name=each.name,
            url=f"http://{_host(each.address)}:{layout.ENGINE_PORT}/v1",
            adapters=tuple(sorted(loaded[each.uid])),
            draining=each.leaving,
        )
        for each in sorted(ready, key=lambda each: each.name)
    )


def _names(adapter: Serving, replica: Replica) -> Iterator[str]:
    # What was loaded before a restart of the engine is not loaded after it.
    names = adapter.pods.get((replica.uid, replica.restarts), frozenset())
    if replica.uid in adapter.everywhere and adapter.engine_name:
        names |= {adapter.engine_name}
    yield from names


def _host(address: str) -> str:
    return f"[{address}]" if ":" in address else address
