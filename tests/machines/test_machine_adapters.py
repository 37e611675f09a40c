"""An adapter's life on pods that come, go and fail, under an operator that dies anywhere."""

import asyncio
import itertools
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from sluice_api.adapters import is_resting, names_in_rotation
from sluice_api.objects.base import API_VERSION
from sluice_api.objects.lora_adapter import LoRAAdapter
from sluice_api.objects.model_server import ModelServer
from sluice_api.statuses.lora_adapter import LoRAAdapterStatus
from sluice_operator.agents.views import Trouble
from sluice_operator.cluster.resources import resource_of
from sluice_operator.kinds.lora_adapter.kind import LoRAAdapterKind
from sluice_operator.kinds.lora_adapter.naming import engine_name
from sluice_operator.kinds.lora_adapter.placement import wanted
from support.fake_cluster import FakeCluster
from support.fake_cluster.faults import PASSING
from support.machines import bounded
from support.operated import Operated
from support.simulated_agents import Pod, Pods, SimulatedAgents, version

NAMESPACE, SERVER = "adapters", "vllm"
ADAPTERS, SERVERS = resource_of(LoRAAdapter), resource_of(ModelServer)
SLOTS = 4

PLACEMENTS: tuple[dict[str, Any], ...] = (
    {"strategy": "All"},
    {"strategy": "Spread", "replicas": 2},
    {"strategy": "BinPack", "replicas": 1},
)
TROUBLES = (
    None,
    Trouble("ENGINE_FAILED", "the worker failed"),
    Trouble("SOURCE_UNAVAILABLE", "try again"),
    Trouble("DISK_FULL", "no room"),
)

names = st.sampled_from(["fr", "en"])
index = st.integers(0, 4)


class Adapters(RuleBasedStateMachine):
    """Two adapters on three pods."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.cluster = FakeCluster(clock=lambda: self.operated.now)
        self.revisions = itertools.count(2)
        self.agents: SimulatedAgents | None = None
        self.pods = Pods(SLOTS, lambda: self.operated.now)
        self.pods.before_unload = self._may_be_unloaded
        for _ in range(3):
            self.pods.add()
        self.operated: Operated
        self.operated = Operated(self.cluster, self._kinds)
        self.operated.on_time = lambda seconds: self._time()
        self.operated.longest_hop = 5.0
        self.cluster.create(SERVERS, _server())

    def _kinds(self, operated: Operated) -> list[LoRAAdapterKind]:
        if self.agents is not None:
            self.agents.dead = True
        mirror = operated.mirror

        def everybody() -> Any:
            return (manifest["metadata"]["uid"] for manifest in mirror.all(ADAPTERS))

        self.agents = SimulatedAgents(self.pods, operated.woken.wake, everybody)
        return [LoRAAdapterKind(mirror, self.agents, lambda: operated.now)]

    def teardown(self) -> None:
        try:
            self.calm_down()
        finally:
            self.runner.close()

    # People.

    @rule(name=names, placement=st.sampled_from(PLACEMENTS))
    def make(self, name: str, placement: dict[str, Any]) -> None:
        if (ADAPTERS, NAMESPACE, name) not in self.cluster.objects:
            self.cluster.create(ADAPTERS, _adapter(name, placement))

    @rule(name=names)
    def revise(self, name: str) -> None:
        self._edit(name, _revision(f"{name}{next(self.revisions)}"))

    @rule(name=names)
    def go_back(self, name: str) -> None:
        if (manifest := self._living(name)) and (previous := _status(manifest).previous):
            self._edit(name, _revision(previous.revision))

    @rule(name=names, placement=st.sampled_from(PLACEMENTS))
    def place_otherwise(self, name: str, placement: dict[str, Any]) -> None:
        self._edit(name, {"placement": {"replicas": None, **placement}})

    @rule(name=names)
    def delete(self, name: str) -> None:
        self.cluster.remove(ADAPTERS, NAMESPACE, name)

    # Pods.

    @rule()
    def start_a_pod(self) -> None:
        if len(self.pods.pods) < 4:
            self.pods.add()

    @rule(index=index)
    def end_a_pod(self, index: int) -> None:
        if pod := self._pod(index):
            if pod.leaving:
                self.pods.remove(pod.uid)
            pod.leaving = True

    @rule(index=index)
    def restart_an_engine(self, index: int) -> None:
        if pod := self._pod(index):
            self.pods.restart(pod.uid)

    @rule(index=index, what=st.sampled_from(["reachable", "engine_reachable", "ready", "deaf"]))
    def turn(self, index: int, what: str) -> None:
        if pod := self._pod(index):
            setattr(pod, what, not getattr(pod, what))

    @rule(index=index)
    def lose_a_name(self, index: int) -> None:
        if (pod := self._pod(index)) and pod.loaded:
            pod.loaded.pop(min(pod.loaded))

    # Calls.

    @rule(trouble=st.sampled_from(TROUBLES), index=index)
    def have_calls_fail(self, trouble: Trouble | None, index: int) -> None:
        pod = self._pod(index)
        self.pods.trouble = lambda call: trouble if pod is None or call.pod == pod.uid else None

    @rule(seconds=st.sampled_from([0.5, 1.0, 20.0, 90.0]))
    def have_calls_take(self, seconds: float) -> None:
        self.pods.seconds = lambda call: seconds

    @rule(count=st.integers(1, 3))
    def lose_replies(self, count: int) -> None:
        self.pods.deaf_calls = count

    # The operator and its API server.

    @rule(ahead=st.integers(0, 3), error=st.sampled_from(PASSING), taken=st.booleans())
    def fail_a_write(self, ahead: int, error: Any, taken: bool) -> None:
        self.operated.faults.fail(ahead, error, taken=taken)

    @rule(ahead=st.integers(0, 3), taken=st.booleans())
    def kill(self, ahead: int, taken: bool) -> None:
        self.operated.faults.kill(ahead, taken=taken)

    @rule()
    def restart(self) -> None:
        self.operated.start()

    @rule(what=st.sampled_from(["lose", "double", "overtake"]), index=index)
    def disturb_the_streams(self, what: str, index: int) -> None:
        getattr(self.operated.streams, what)(index)

    # Time.

    @rule(steps=st.integers(1, 4))
    def live(self, steps: int) -> None:
        for _ in range(steps):
            self.operated.streams.flow()
            self.runner.run(self.operated.step())
            self.operated.advance(1.0)

    @rule(seconds=st.sampled_from([2.0, 7.0, 45.0]))
    def wait(self, seconds: float) -> None:
        self.operated.advance(seconds)
        self.runner.run(self.operated.step())

    @rule()
    def have_a_good_minute(self) -> None:
        for _ in range(60):
            self.operated.streams.flow()
            self.runner.run(self.operated.step())
            self.operated.advance(1.0)

    # What holds.

    @invariant()
    def no_pod_has_more_names_than_slots(self) -> None:
        for pod in self.pods.pods.values():
            assert len(pod.loaded) <= SLOTS, f"{pod.name}: {sorted(pod.loaded)}"

    def _may_be_unloaded(self, pod: Pod, name: str) -> None:
        for manifest in self._adapters().values():
            status = _status(manifest)
            if manifest["metadata"].get("deletionTimestamp") and status.leaving_since:
                continue
            if is_resting(LoRAAdapter.model_validate(manifest)):
                continue
            assert name not in names_in_rotation(status).get(pod.uid, ()), (
                f"{name} of {pod.name} is in rotation"
            )

    @rule()
    def calm_down(self) -> None:
        """All is well again, and people touch what has given up: the world comes to rest as the specs say."""
        for pod in list(self.pods.pods.values()):
            if pod.leaving:
                self.pods.remove(pod.uid)
            pod.ready = pod.reachable = pod.engine_reachable = True
            pod.deaf = False
        if not self.pods.pods:
            self.pods.add()
        self.pods.trouble = lambda call: None
        self.pods.seconds = lambda call: 1.0
        self.pods.deaf_calls = 0
        self.operated.advance(1.0)
        for name in self._adapters():
            self._edit(name, {"tenants": [f"t{next(self.revisions)}"]})
        self.runner.run(self.operated.settle(lambda: self.pods.changes))
        for name, manifest in self._adapters().items():
            assert "deletionTimestamp" not in manifest["metadata"], f"{name} does not leave"
            self._is_as_wanted(manifest)
        known = {manifest["spec"]["modelName"] for manifest in self._adapters().values()}
        for pod in self.pods.pods.values():
            assert {name.split("--")[0] for name in pod.loaded} <= known

    def _is_as_wanted(self, manifest: dict[str, Any]) -> None:
        adapter, status = LoRAAdapter.model_validate(manifest), _status(manifest)
        name = engine_name(adapter.spec.model_name, version(adapter.spec.revision))
        conditions = {each.type: (each.status.value, each.reason) for each in status.conditions}
        count = sum(name in pod.loaded for pod in self.pods.pods.values())
        replicas = adapter.spec.placement.replicas or 0
        if replicas <= len(self.pods.pods):
            assert conditions["Ready"] == ("True", "Ready"), conditions
            assert count == wanted(adapter.spec.placement, len(self.pods.pods))
        assert status.engine_name == name
        assert status.replicas.loaded == count
        assert status.observed_generation == manifest["metadata"]["generation"]

    def _time(self) -> None:
        self.pods.advance()
        if self.agents is not None:
            self.agents.look()

    def _edit(self, name: str, spec: dict[str, Any]) -> None:
        if self._living(name):
            self.cluster.edit(ADAPTERS, NAMESPACE, name, {"spec": spec})

    def _living(self, name: str) -> dict[str, Any] | None:
        found = self.cluster.objects.get((ADAPTERS, NAMESPACE, name))
        return None if found is None or found["metadata"].get("deletionTimestamp") else found

    def _adapters(self) -> dict[str, dict[str, Any]]:
        return {key[2]: manifest for key, manifest in self.cluster.objects.items() if key[0] == ADAPTERS}

    def _pod(self, index: int) -> Pod | None:
        pods = list(self.pods.pods.values())
        return pods[index % len(pods)] if pods else None


def _server() -> dict[str, Any]:
    spec = {"baseModel": "base", "vllm": {"image": "vllm", "lora": {"maxLoras": 1, "maxCpuLoras": SLOTS}}}
    return _object("ModelServer", SERVER, spec)


def _adapter(name: str, placement: dict[str, Any]) -> dict[str, Any]:
    spec = {
        "modelServerRef": SERVER,
        "modelName": name,
        "placement": placement,
        "load": {"timeout": "60s", "backoff": "1s", "maxBackoff": "4s", "maxAttempts": 3},
        "deletion": {"drain": "5s", "timeout": "120s"},
        "rollbackWindow": "40s",
        **_revision(f"{name}1"),
    }
    return _object("LoRAAdapter", name, spec)


def _revision(revision: str) -> dict[str, Any]:
    return {"revision": revision, "source": {"local": {"path": f"/{revision}"}}}


def _object(kind: str, name: str, spec: dict[str, Any]) -> dict[str, Any]:
    metadata = {"name": name, "namespace": NAMESPACE}
    return {"apiVersion": API_VERSION, "kind": kind, "metadata": metadata, "spec": spec}


def _status(manifest: dict[str, Any]) -> LoRAAdapterStatus:
    return LoRAAdapterStatus.model_validate(manifest.get("status") or {})


TestAdapters = bounded(Adapters, examples=30, steps=25)
