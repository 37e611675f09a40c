"""A small world of adapters, pods and agents in memory, to run the plans of `LoRAAdapter` against.

It is strict where a real one would only suffer: an engine takes no more names than it has slots, and no other files
under a name that it knows.
"""

import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from sluice_api.merge_patch import merged
from sluice_api.objects.base import API_VERSION
from sluice_api.objects.lora_adapter import LoRAAdapter, Source
from sluice_api.objects.model_server import ModelServer
from sluice_api.statuses.base import Status
from sluice_api.statuses.lora_adapter import LoRAAdapterStatus, PodState
from sluice_operator.agents.protocol import Call, Ended, Load, Resolve, Running, Unload
from sluice_operator.agents.views import AgentView, PodView, Resolved, Trouble, Version
from sluice_operator.kinds.lora_adapter.context import Context, Sibling
from sluice_operator.kinds.lora_adapter.deletion import plan_deletion
from sluice_operator.kinds.lora_adapter.observe import observe
from sluice_operator.kinds.lora_adapter.plan import plan
from sluice_operator.kinds.lora_adapter.slots import taken
from sluice_operator.reconciling.kind import Item, Leaving

C = TypeVar("C", Resolve, Load, Unload)

START = 1_700_000_000.0


def version(seed: str) -> Version:
    """The files that a source has."""
    return Version(f"sha256:{seed.encode().hex():0<64.64}", f"sha256:{seed.encode().hex():f<64.64}")


def resolved(seed: str, **fields: Any) -> Resolved:
    """What an agent finds in them."""
    return Resolved(
        **{
            "version": version(seed),
            "origin": f"hub@{seed}",
            "rank": 8,
            "base_model": "base",
            "target_modules": ("q_proj",),
            "size_bytes": 1000,
            **fields,
        }
    )


def manifest(name: str = "fr", revision: str = "r1", **spec: Any) -> dict[str, Any]:
    """A `LoRAAdapter`; the folder of its source is named after the revision."""
    return {
        "apiVersion": API_VERSION,
        "kind": "LoRAAdapter",
        "metadata": {"name": name},
        "spec": {
            "modelServerRef": "vllm",
            "modelName": name,
            "revision": revision,
            "source": {"local": {"path": f"/{revision}"}},
            **spec,
        },
    }


def model_server(slots: int = 4, **spec: Any) -> ModelServer:
    """A `ModelServer`: vLLM, where nothing else is said."""
    engine = spec or {
        "vllm": {"image": "vllm", "lora": {"maxLoras": 1, "maxCpuLoras": slots}},
    }
    return ModelServer.model_validate(
        {
            "apiVersion": API_VERSION,
            "kind": "ModelServer",
            "metadata": {"name": "vllm"},
            "spec": {"baseModel": "base", **engine},
        }
    )


@dataclass
class Pod:
    """A replica, its agent and its engine."""

    uid: str
    name: str
    node: str = ""
    restarts: int = 0
    ready: bool = True
    leaving: bool = False
    reachable: bool = True
    engine_reachable: bool = True
    asked: bool = True
    loaded: dict[str, Version | None] = field(default_factory=dict)
    here: set[Version] = field(default_factory=set)

    def view(self, at: float) -> PodView:
        agent = AgentView(
            reachable=self.reachable,
            engine_reachable=self.reachable and self.engine_reachable,
            trouble=None
            if self.reachable and self.engine_reachable
            else Trouble("ENGINE_UNREACHABLE" if self.reachable else "AGENT_UNREACHABLE", "no answer"),
            loaded=dict(self.loaded) if self.reachable and self.engine_reachable else {},
            here=frozenset(self.here) if self.reachable else frozenset(),
            at=at,
        )
        return PodView(
            self.uid,
            self.name,
            "10.0.0.1",
            self.restarts,
            self.ready,
            self.leaving,
            self.node,
            agent if self.asked else None,
        )


@dataclass
class Adapter:
    """An adapter as the API server has it."""

    manifest: dict[str, Any]
    uid: str
    created_at: str
    generation: int = 1
    deleted_at: float | None = None
    status: dict[str, Any] = field(default_factory=dict)
    running: list[Running] = field(default_factory=list)
    ended: list[Ended] = field(default_factory=list)
    starts: list[Call] = field(default_factory=list)
    """Every call that has been started for it."""
    again_in: float | None = None
    """As the last pass said."""

    @property
    def told(self) -> LoRAAdapterStatus:
        return LoRAAdapterStatus.model_validate(self.status)

    @property
    def item(self) -> Item[LoRAAdapter]:
        body = {**self.manifest, "status": self.status}
        return Item(LoRAAdapter.model_validate(body), self.uid, self.generation, self.deleted_at)

    def edit(self, **spec: Any) -> None:
        """A person changes the spec."""
        self.manifest = {**self.manifest, "spec": merged(self.manifest["spec"], spec)}
        self.generation += 1

    def revise(self, revision: str) -> None:
        """A person wants another version."""
        self.edit(revision=revision, source={"local": {"path": f"/{revision}"}})

    def reason(self, condition: str) -> tuple[str, str]:
        """A condition's status and reason."""
        found = next(each for each in self.told.conditions if each.type == condition)
        return found.status.value, found.reason

    def message(self, condition: str) -> str:
        return next(each for each in self.told.conditions if each.type == condition).message

    def states(self) -> dict[tuple[str, str], PodState]:
        """By pod's name and version's name."""
        return {(each.pod_name, each.engine_name): each.state for each in self.told.pods}


class World:
    """Adapters of one server, and its pods. Time moves by `tick` alone.

    Args:
        knows_when: Whether agents say when they were asked; else a call that has ended is in their answers at once, as
            it is here anyway.
    """

    def __init__(self, pods: int = 3, slots: int = 4, *, knows_when: bool = True, nodes: int = 1) -> None:
        self.now = START
        self.server: ModelServer | None = model_server(slots)
        self.slots = slots
        self.knows_when = knows_when
        self.retired_by = ""
        """The experiment that has done with all of them."""
        self.pods: dict[str, Pod] = {}
        self.adapters: dict[str, Adapter] = {}
        self.troubles: Callable[[Call], Trouble | None] = lambda call: None
        self.contents: Callable[[Source], Resolved] = lambda source: resolved(_seed(source))
        self._numbers = itertools.count()
        for number in range(pods):
            self.add_pod(node=f"n{number % nodes}")

    def add_pod(self, **fields: Any) -> Pod:
        number = next(self._numbers)
        pod = Pod(**{"uid": f"p{number}", "name": f"vllm-{number}", **fields})
        self.pods[pod.uid] = pod
        return pod

    def add(self, name: str = "fr", revision: str = "r1", **spec: Any) -> Adapter:
        number = next(self._numbers)
        adapter = Adapter(
            manifest(name, revision, **spec),
            f"u{number}",
            f"2026-01-01T00:{number // 60:02}:{number % 60:02}Z",
        )
        self.adapters[adapter.uid] = adapter
        return adapter

    def restart(self, pod: Pod) -> None:
        """Its engine comes back with nothing loaded."""
        pod.restarts += 1
        pod.loaded.clear()

    def context(self, adapter: Adapter) -> Context:
        ended, adapter.ended = tuple(adapter.ended), []
        return Context(
            now=self.now,
            created_at=adapter.created_at,
            status=adapter.told,
            server=self.server,
            pods=tuple(
                pod.view(self.now if self.knows_when else 0.0)
                for pod in sorted(self.pods.values(), key=lambda pod: pod.name)
            ),
            siblings=tuple(
                Sibling(
                    other.uid,
                    str(other.manifest["metadata"]["name"]),
                    str(other.manifest["spec"]["modelName"]),
                    other.created_at,
                    taken(other.told),
                )
                for other in self.adapters.values()
                if other is not adapter
            ),
            running=tuple(adapter.running),
            ended=ended,
            retired_by=self.retired_by,
        )

    def pass_over(self, adapter: Adapter) -> tuple[Call, ...]:
        """One pass; what it starts goes on until the next tick."""
        item, context = adapter.item, self.context(adapter)
        made = plan(item, context)
        observation = observe(item, context, made)
        adapter.again_in = observation.again_in
        adapter.status = _wire(observation.status, adapter.generation)
        self._start(adapter, made.actions)
        return made.actions

    def leave(self, adapter: Adapter) -> Leaving:
        """One pass of a deletion."""
        adapter.deleted_at = adapter.deleted_at or self.now
        calls, leaving = plan_deletion(adapter.item, self.context(adapter))
        self._start(adapter, calls)
        if leaving.status is not None:
            adapter.status = _wire(leaving.status, adapter.generation)
        if leaving.done:
            del self.adapters[adapter.uid]
        return leaving

    def tick(self, seconds: float = 1.0) -> None:
        """Time goes on, and every call ends."""
        self.now += seconds
        for adapter in self.adapters.values():
            for running in adapter.running:
                adapter.ended.append(self._end(running.call, seconds))
            adapter.running = []

    def settle(self, passes: int = 60, seconds: float = 1.0, horizon: float = 60.0) -> int:
        """Passes over all adapters, when calls end and when passes have said that they want another, until nothing is
        started, nothing goes on, and no pass wants another within `horizon` seconds; how many it took."""
        for number in range(passes):
            started = [self.pass_over(adapter) for adapter in tuple(self.adapters.values())]
            wanted = [each.again_in for each in self.adapters.values() if each.again_in is not None]
            if any(started) or any(each.running for each in self.adapters.values()):
                self.tick(seconds)
            elif min(wanted, default=horizon + 1) <= horizon:
                self.tick(min(wanted))
            else:
                return number
        raise AssertionError(f"calls are started after {passes} passes still: {started}")

    def loaded(self) -> Mapping[str, frozenset[str]]:
        """By pod's name, what its engine lists."""
        return {pod.name: frozenset(pod.loaded) for pod in self.pods.values()}

    def _start(self, adapter: Adapter, calls: tuple[Call, ...]) -> None:
        for call in calls:
            assert all(call != running.call for running in adapter.running), f"{call} goes on already"
            adapter.running.append(Running(call, self.now))
            adapter.starts.append(call)

    def _end(self, call: Call, seconds: float) -> Ended:
        pod = self.pods.get(call.pod)
        if pod is None or not pod.reachable:
            return Ended(call, self.now, seconds, trouble=Trouble("AGENT_UNREACHABLE", "no answer"))
        trouble = self.troubles(call)
        if trouble is not None:
            return Ended(call, self.now, seconds, trouble=trouble)
        if isinstance(call, Resolve):
            found = self.contents(call.source)
            if call.digest not in ("", found.version.digest):
                return Ended(
                    call, self.now, seconds, trouble=Trouble("DIGEST_MISMATCH", "other", permanent=True)
                )
            pod.here.add(found.version)
            return Ended(call, self.now, seconds, resolved=found)
        if not pod.engine_reachable:
            return Ended(call, self.now, seconds, trouble=Trouble("ENGINE_UNREACHABLE", "no answer"))
        return Ended(call, self.now, seconds, trouble=self._in_engine(pod, call))

    def _in_engine(self, pod: Pod, call: Load | Unload) -> Trouble | None:
        if isinstance(call, Unload):
            pod.loaded.pop(call.name, None)
        elif call.version not in pod.here:
            return Trouble("ADAPTER_MISSING", "resolve it first")
        elif pod.loaded.get(call.name, call.version) != call.version:
            return Trouble("NAME_TAKEN", "vLLM has other files under it", permanent=True)
        else:
            pod.loaded[call.name] = call.version
            assert len(pod.loaded) <= self.slots, (
                f"{pod.name} has {len(pod.loaded)} adapters in {self.slots} slots"
            )
        return None


def _wire(status: Status, generation: int) -> dict[str, Any]:
    """As the API server gives it back."""
    told = status.model_copy(update={"observed_generation": generation})
    return told.model_dump(mode="json", by_alias=True, exclude_none=True)


def _seed(source: Source) -> str:
    return source.local.path.strip("/") if source.local else "other"


def calls_of(adapter: Adapter, kind: type[C]) -> list[C]:
    """Of those that have been started."""
    return [call for call in adapter.starts if isinstance(call, kind)]
