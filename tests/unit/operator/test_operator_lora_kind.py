"""What a pass over an adapter reads, and whom a change concerns."""

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from sluice_api.objects.lora_adapter import LocalSource, LoRAAdapter, Source
from sluice_api.objects.model_server import ModelServer
from sluice_operator.agents.protocol import Call, Ended, Load, Resolve, Running
from sluice_operator.agents.views import PodView, Trouble, Version
from sluice_operator.cluster.protocol import Manifest
from sluice_operator.cluster.resources import PODS, resource_of
from sluice_operator.kinds.lora_adapter.context import Context
from sluice_operator.kinds.lora_adapter.kind import LoRAAdapterKind
from sluice_operator.kinds.lora_adapter.siblings import Siblings
from sluice_operator.reconciling.kind import Item
from sluice_operator.reconciling.mirror import Mirror
from sluice_operator.reconciling.reconciler import parse

ADAPTERS, SERVERS = resource_of(LoRAAdapter), resource_of(ModelServer)
NAMESPACE = "ns"
NOW = 1_800_000_000.0


class ScriptedAgents:
    """Says what it is told to, and notes what it is asked to start."""

    def __init__(self) -> None:
        self.views: list[PodView] = []
        self.going: dict[str, list[Running]] = {}
        self.ended: dict[str, list[Ended]] = {}
        self.started: list[tuple[str, Call]] = []
        self.forgot: list[str] = []

    def pods(self, namespace: str, model_server: str) -> Sequence[PodView]:
        return self.views

    def start(self, asker: str, call: Call) -> bool:
        self.started.append((asker, call))
        return True

    def running(self, asker: str) -> Sequence[Running]:
        return self.going.get(asker, [])

    def take_ended(self, asker: str) -> Sequence[Ended]:
        return self.ended.pop(asker, [])

    def forget(self, asker: str) -> None:
        self.forgot.append(asker)

    def engine_names_in_use(self, namespace: str, model_server: str) -> Mapping[str, frozenset[str]]:
        return {}


class World:
    """A mirror that objects are put into, and the kind."""

    def __init__(self) -> None:
        self.mirror = Mirror()
        self.agents = ScriptedAgents()
        self.kind = LoRAAdapterKind(self.mirror, self.agents, lambda: NOW)
        self._versions = 0
        self.told: dict[str, list[str]] = {}

    def put(self, resource: Any, name: str, spec: Any, *, status: Any = None, **metadata: Any) -> Manifest:
        self._versions += 1
        manifest = {
            "apiVersion": resource.api_version,
            "kind": resource.kind,
            "metadata": {
                "name": name,
                "namespace": NAMESPACE,
                "uid": f"uid-{name}",
                "resourceVersion": str(self._versions),
                "creationTimestamp": "2026-01-01T00:00:00Z",
                **metadata,
            },
            "spec": spec,
            **({"status": status} if status else {}),
        }
        self.mirror.put(resource, manifest)
        return manifest

    def adapter(self, name: str, *, status: Any = None, alias: str = "", **metadata: Any) -> list[str]:
        """Puts an adapter into the mirror; gives whom that concerns."""
        spec = {
            "modelServerRef": metadata.pop("server", "vllm"),
            "modelName": alias or name,
            "revision": "1",
            "source": {"local": {"path": "/models/a"}},
        }
        manifest = self.put(ADAPTERS, name, spec, status=status, **metadata)
        return sorted(self.kind.concerned(manifest, ADAPTERS, self.mirror))

    def server(self, *, name: str = "vllm", generation: int = 1, status: Any = None) -> list[str]:
        spec = {"baseModel": "tiny", "vllm": {"image": "vllm", "lora": {"maxCpuLoras": 4}}}
        manifest = self.put(SERVERS, name, spec, status=status, generation=generation)
        return sorted(self.kind.concerned(manifest, SERVERS, self.mirror))

    def gone(self, resource: Any, name: str) -> list[str]:
        manifest = self.mirror.drop(resource, f"uid-{name}")
        assert manifest
        return sorted(self.kind.concerned(manifest, resource, self.mirror))

    def item(self, name: str) -> Item[LoRAAdapter]:
        manifest = self.mirror.by_uid(ADAPTERS, f"uid-{name}")
        assert manifest
        return parse(LoRAAdapter, manifest)

    async def gather(self, name: str) -> Context:
        return await self.kind.gather(self.item(name))


def on(*pods: str, name: str = "x--1", state: str = "Loaded") -> dict[str, Any]:
    """A status by which an adapter takes a slot of each pod."""
    return {"pods": [{"podUid": pod, "engineName": name, "state": state} for pod in pods]}


WAITS = {"conditions": [{"type": "Placed", "status": "False", "reason": "NoFreeSlots"}]}


@pytest.fixture
def world() -> World:
    made = World()
    made.server()
    return made


async def test_a_pass_reads_the_server_the_siblings_and_the_slots_that_they_take(world: World) -> None:
    world.adapter("a")
    world.adapter("b", status=on("p1", "p2"), alias="support")
    world.adapter("c", deletionTimestamp="2026-01-02T00:00:00Z", status=on("p1"))
    world.adapter("elsewhere", server="other", status=on("p1"))
    load = Load("p3", "b--2", Version("sha256:1", "sha256:2"))
    known = Load("p1", "x--1", Version("sha256:1", "sha256:2"))
    resolve = Resolve("p4", Source(local=LocalSource(path="/models/a")))
    world.agents.going["uid-b"] = [Running(call, NOW) for call in (load, known, resolve)]

    context = await world.gather("a")
    assert context.server is not None
    assert context.server.metadata.name == "vllm"
    assert (context.now, context.created_at) == (NOW, "2026-01-01T00:00:00Z")
    siblings = {each.name: each for each in context.siblings}
    assert siblings.keys() == {"b", "c"}
    assert (siblings["b"].model_name, siblings["b"].pods) == ("support", ("p1", "p2", "p3"))
    assert siblings["c"].pods == ("p1",)


async def test_what_cannot_be_read_is_passed_over(world: World) -> None:
    world.adapter("a", status={"replicas": {"desired": "many"}})
    world.adapter("b", status={"pods": "none"})
    context = await world.gather("a")
    assert context.status.replicas.desired == 0
    assert [each.pods for each in context.siblings] == [()]
    world.put(SERVERS, "vllm", {"baseModel": "tiny", "vllm": {"image": 7}})
    assert (await world.gather("a")).server is None
    world.gone(SERVERS, "vllm")
    assert (await world.gather("a")).server is None


def test_an_adapter_is_read_once_for_each_version_of_it(world: World) -> None:
    siblings = Siblings(world.mirror)
    for name in "abc":
        world.adapter(name)
    first = {each.sibling.name: each for each in siblings.of((NAMESPACE, "vllm"))}
    world.adapter("b", status=on("p1"))
    second = {each.sibling.name: each for each in siblings.of((NAMESPACE, "vllm"))}
    assert second["a"] is first["a"]
    assert second["c"] is first["c"]
    assert second["b"].sibling.pods == ("p1",)


def test_a_freed_slot_concerns_those_who_wait_for_one(world: World) -> None:
    world.adapter("a", status=on("p1", "p2"))
    world.adapter("waits", status=WAITS)
    world.adapter("well", status=on("p3"))
    assert world.adapter("a", status=on("p1", "p2") | {"loaded": "2/2"}) == []
    assert world.adapter("a", status=on("p1", "p2", "p4")) == []
    assert world.adapter("a", status=on("p1", "p4")) == ["uid-waits"]
    assert world.adapter("a", status=on("p1", "p4", state="Unloaded")) == ["uid-waits"]
    assert world.adapter("well", status=on("p3")) == []
    assert world.gone(ADAPTERS, "well") == ["uid-waits"]


def test_a_claim_concerns_those_of_the_same_alias(world: World) -> None:
    world.adapter("other", alias="another")
    assert world.adapter("first", alias="support") == []
    assert world.adapter("second", alias="support") == ["uid-first"]
    assert world.adapter("second", alias="support", status=on("p1")) == []
    assert world.adapter("second", alias="another") == ["uid-first", "uid-other"]
    assert world.adapter("second", alias="support") == ["uid-first", "uid-other"]
    leaving = {"deletionTimestamp": "2026-01-02T00:00:00Z"}
    assert world.adapter("first", alias="support", **leaving) == ["uid-second"]
    assert world.gone(ADAPTERS, "first") == ["uid-second"]
    assert world.adapter("second", alias="support", server="elsewhere") == []


def test_a_servers_spec_concerns_all_and_its_status_those_that_change_revisions(world: World) -> None:
    world.adapter("a", status={"resolved": {"engineName": "a--1"}, "inRotation": {"engineName": "a--1"}})
    turning = {"resolved": {"engineName": "b--2"}, "inRotation": {"engineName": "b--1"}}
    world.adapter("b", status=turning)
    world.adapter("elsewhere", server="other")
    assert world.server(status={"endpoints": []}) == ["uid-b"]
    assert world.server(generation=2) == ["uid-a", "uid-b"]
    assert world.server(generation=2, status={"endpoints": []}) == ["uid-b"]
    assert world.gone(SERVERS, "vllm") == ["uid-a", "uid-b"]
    assert world.server() == ["uid-a", "uid-b"]


def test_pods_concern_nobody_here(world: World) -> None:
    world.adapter("a")
    labels = {"sluice.dev/model-server": "vllm"}
    pod = world.put(PODS, "vllm-1", {}, labels=labels)
    assert list(world.kind.concerned(pod, PODS, world.mirror)) == []


async def test_calls_that_have_ended_are_given_again_until_the_status_has_them(world: World) -> None:
    world.adapter("a")
    call = Resolve("p1", Source(local=LocalSource(path="/models/a")))
    ended = Ended(call, NOW, 1.0, trouble=Trouble("DISK_FULL", "full"))
    world.agents.views = [PodView("p1", "vllm-1", "10.0.0.1", 0, ready=True, leaving=False)]
    world.agents.ended["uid-a"] = [ended]

    async def passed() -> tuple[Context, Any]:
        item, context = world.item("a"), await world.gather("a")
        world.kind.plan(item, context)
        return context, world.kind.observe(item, context, []).status

    first, _ = await passed()
    assert first.ended == (ended,)
    again, status = await passed()  # what the first pass said was not written
    assert again.ended == (ended,)
    more = Ended(call, NOW + 1, 1.0, trouble=Trouble("DISK_FULL", "full"))
    world.agents.ended["uid-a"] = [more]
    broken = await world.gather("a")  # a pass that did not come to its end
    assert broken.ended == (ended, more)
    both, status = await passed()
    assert both.ended == (ended, more)
    world.adapter("a", status=status.model_dump(mode="json", by_alias=True, exclude_none=True))
    written, _ = await passed()
    assert written.ended == ()


async def test_a_plan_is_started_and_a_forgotten_adapters_calls_end(world: World) -> None:
    world.adapter("a")
    item, context = world.item("a"), await world.gather("a")
    plan = world.kind.plan(item, context)
    call = Load("p1", "a--1", Version("sha256:1", "sha256:2"))
    await world.kind.act(item, context, type(plan)(actions=(call,)))
    assert world.agents.started == [("uid-a", call)]
    world.kind.forgotten("uid-a")
    assert world.agents.forgot == ["uid-a"]
