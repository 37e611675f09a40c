"""What is measured, one after the other."""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from operating.ready import Readiness
from operating.world import (
    ADAPTERS,
    OPERATOR_AGENT,
    SERVERS,
    Json,
    Operator,
    World,
    adapter,
    external_server,
    until,
)
from sluice_servicekit import telemetry_names

_WRITERS = 16
_ADAPTERS_OF_A_SERVER = 100
_QUIET_SECONDS = 5.0
_WRITES = frozenset({"create", "update", "patch", "delete"})


@dataclass
class Calls:
    """What the operator has asked of the API server between two looks at the audit log."""

    world: World
    seen: int = 0

    def since(self) -> Counter[str]:
        """By verb and resource; those since the last time."""
        entries = self.world.server.calls(OPERATOR_AGENT)
        new, self.seen = entries[self.seen :], len(entries)
        return Counter(f"{each['verb']} {_what(each)}" for each in new)


def writes(calls: Counter[str]) -> int:
    """Those that write."""
    return sum(count for name, count in calls.items() if name.split()[0] in _WRITES)


@dataclass
class Settled:
    """How adapters that were applied all at once became ready."""

    seconds: float
    """From the first apply to the last that is ready."""
    applying_seconds: float
    ready: int
    of: int
    cpu: float
    """Of the operator, in seconds."""
    rss: int
    passes: float
    calls: Json
    curve: list[float] = field(default_factory=list)
    """When each became ready, in seconds since the first apply."""


async def settle(
    world: World,
    operator: Operator,
    readiness: Readiness,
    calls: Calls,
    *,
    limit: float,
    progress: Callable[[int], None],
) -> Settled:
    """Applies all adapters at once, and waits until they are ready, or for `limit` seconds."""
    names = [f"a{number}" for number in range(world.sizes.adapters)]
    calls.since()
    cpu, passes, start = operator.cpu, await _passes(operator), time.monotonic()
    applying = asyncio.create_task(_apply(world, ADAPTERS, [adapter(name) for name in names]))
    applied: list[float] = []
    applying.add_done_callback(lambda _: applied.append(time.monotonic() - start))

    def done() -> bool:
        progress(len(readiness.since))
        return readiness.all_ready(names)

    await readiness.wait(done, limit)
    await applying
    curve = sorted(readiness.since[name] - start for name in names if name in readiness.since)
    return Settled(
        seconds=curve[-1] if len(curve) == len(names) else time.monotonic() - start,
        applying_seconds=applied[0],
        ready=len(curve),
        of=len(names),
        cpu=operator.cpu - cpu,
        rss=operator.rss,
        passes=await _passes(operator) - passes,
        calls=dict(calls.since()),
        curve=curve,
    )


async def singles(world: World, readiness: Readiness, count: int, limit: float) -> list[float]:
    """Seconds from each of `count` applies to ready, one after the other."""
    taken = []
    for number in range(count):
        name, start = f"single{number}", time.monotonic()
        await world.cluster.apply(ADAPTERS, adapter(name))
        if not await readiness.wait(lambda name=name: name in readiness.since, limit):  # type: ignore[misc]
            raise TimeoutError(f"{name} is not ready after {limit:g} s")
        taken.append(readiness.since[name] - start)
    return taken


async def replaced(world: World, readiness: Readiness, count: int, limit: float) -> list[Json]:
    """A pod at a time is deleted while another comes: seconds until all that it had are ready again."""
    found = []
    for _ in range(count):
        before = dict(readiness.pods)
        start = time.monotonic()
        oldest = await _oldest_pod(world)
        answer = asyncio.create_task(world.ask_pods("replace 0"))
        lost = [name for name, pod in before.items() if pod == oldest and name in readiness.since]

        def back(lost: Sequence[str] = lost, oldest: str = oldest) -> bool:
            return all(name in readiness.since and readiness.pods[name] != oldest for name in lost)

        if not await readiness.wait(back, limit):
            raise TimeoutError(f"adapters of a pod that was replaced are not back after {limit:g} s")
        seconds = sorted(max(readiness.since[name] - start, 0.0) for name in lost)
        await answer
        found.append({"adapters": len(lost), "seconds": seconds})
    return found


async def idle(operator: Operator, calls: Calls, seconds: float) -> Json:
    """What nothing costs."""
    await quiet(calls)
    calls.since()
    cpu, passes, start = operator.cpu, await _passes(operator), time.monotonic()
    await asyncio.sleep(seconds)
    asked = calls.since()
    return {
        "seconds": time.monotonic() - start,
        "cpu": operator.cpu - cpu,
        "passes": await _passes(operator) - passes,
        "writes": writes(asked),
        "reads": asked.total() - writes(asked),
        "calls": dict(asked),
    }


async def restarted(operator: Operator, calls: Calls, objects: int, limit: float) -> Json:
    """After a start beside objects that are as they should be: until each has had its pass."""

    async def done() -> bool:
        return await _passes(operator) >= objects

    await until(done, limit)
    seconds = time.monotonic() - operator.started
    asked = calls.since()
    found = {"seconds": seconds, "cpu": operator.cpu, "writes": writes(asked), "objects": objects}
    return found | {"calls": dict(asked)}


async def fill(world: World, operator: Operator, calls: Calls, objects: int, limit: float) -> Json:
    """Adapters of external servers, until there are so many objects; memory once all have been looked at."""
    more = max(0, objects - world.sizes.adapters)
    servers = [f"external{number}" for number in range(-(-more // _ADAPTERS_OF_A_SERVER))]
    start, passes = time.monotonic(), await _passes(operator)
    await _apply(world, SERVERS, [external_server(name) for name in servers])
    made = [adapter(f"more{number}", servers[number // _ADAPTERS_OF_A_SERVER]) for number in range(more)]
    await _apply(world, ADAPTERS, made)

    async def done() -> bool:
        return await _passes(operator) - passes >= more

    await until(done, limit)
    await quiet(calls)
    return {"objects": world.sizes.adapters + more, "rss": operator.rss, "seconds": time.monotonic() - start}


async def quiet(calls: Calls, limit: float = 120.0) -> None:
    """Returns once the operator has written nothing for a while."""
    end, last = time.monotonic() + limit, time.monotonic()
    calls.since()
    while time.monotonic() < end and time.monotonic() - last < _QUIET_SECONDS:
        await asyncio.sleep(1.0)
        if writes(calls.since()):
            last = time.monotonic()


async def _passes(operator: Operator) -> float:
    return await operator.counted(telemetry_names.RECONCILE_PASSES)


async def _apply(world: World, resource: Any, manifests: Sequence[Json]) -> None:
    turns = asyncio.Semaphore(_WRITERS)

    async def one(manifest: Json) -> None:
        async with turns:
            await world.cluster.apply(resource, manifest)

    await asyncio.gather(*(one(manifest) for manifest in manifests))


async def _oldest_pod(world: World) -> str:
    return str(next(iter(await world.ask_pods("loaded"))))


def _what(entry: dict[str, Any]) -> str:
    found = entry.get("objectRef") or {}
    return "/".join(filter(None, (found.get("resource", ""), found.get("subresource", ""))))
