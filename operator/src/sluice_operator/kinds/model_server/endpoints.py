"""Where inference sends requests: the pods that answer, and the adapters in rotation on each. Pure."""

import zlib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from sluice_api.snapshot import Endpoint
from sluice_operator.kinds.model_server import layout
from sluice_operator.kinds.model_server.context import Serving
from sluice_operator.kinds.model_server.replicas import Replica

#: Bytes that the names of adapters may take up in a status: etcd takes objects of a megabyte and a half.
ROOM: Final = 1_000_000
_QUOTED: Final = 3
"""Bytes that JSON adds to a name in a list."""


@dataclass(frozen=True, slots=True)
class Endpoints:
    """The list, and what has no room in it."""

    listed: tuple[Endpoint, ...]
    """By name. A pod that is being deleted is there as long as it answers, and draining."""
    each_on: int | None = None
    """Where there is no room for all, the most pods that an adapter is listed on."""


def endpoints(replicas: Sequence[Replica], adapters: Iterable[Serving], room: int = ROOM) -> Endpoints:
    """Those of a server. Where there is no room for everything, an adapter is listed on some of its pods alone:
    requests for it go to these, and no adapter is lost."""
    ready = sorted((each for each in replicas if each.ready), key=lambda each: each.name)
    where = _where(ready, adapters)
    each_on = _most(where, room)
    names: dict[str, list[str]] = {each.uid: [] for each in ready}
    for adapter, pods in where.items():
        for uid in pods if each_on is None else _some(adapter, pods, each_on):
            names[uid].append(adapter)
    listed = tuple(
        Endpoint(
            name=each.name,
            url=f"http://{_host(each.address)}:{layout.ENGINE_PORT}/v1",
            adapters=tuple(sorted(names[each.uid])),
            draining=each.leaving,
        )
        for each in ready
    )
    return Endpoints(listed, each_on)


def _where(ready: Sequence[Replica], adapters: Iterable[Serving]) -> Mapping[str, Sequence[str]]:
    """Uids of pods by the names that are loaded there."""
    found: dict[str, list[str]] = defaultdict(list)
    for adapter in adapters:
        for replica in ready:
            # What was loaded before a restart of the engine is not loaded after it.
            names = adapter.pods.get((replica.uid, replica.restarts), frozenset())
            if replica.uid in adapter.everywhere:
                names |= {adapter.engine_name}
            for name in names:
                found[name].append(replica.uid)
    return found


def _most(where: Mapping[str, Sequence[str]], room: int) -> int | None:
    once = sum(len(name) + _QUOTED for name in where)
    if sum((len(name) + _QUOTED) * len(pods) for name, pods in where.items()) <= room:
        return None
    return max(1, room // once)


def _some(adapter: str, pods: Sequence[str], number: int) -> Sequence[str]:
    """Others for each adapter, and the same each time."""
    return sorted(pods, key=lambda uid: (zlib.crc32(f"{adapter} {uid}".encode()), uid))[:number]


def _host(address: str) -> str:
    return f"[{address}]" if ":" in address else address
