"""From objects in the mirror to watchers, and back into statuses: an operator's part without an API server."""

import asyncio
import contextlib
import json
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from prometheus_client import REGISTRY

from sluice.snapshot.v1 import snapshot_pb2
from sluice_api.objects.base import API_VERSION
from sluice_api.objects.registry import KINDS
from sluice_api.snapshot import Snapshot
from sluice_api.tolerant import Key, State
from sluice_operator.cluster.resources import CONFIG_MAPS, Resource, resource_of
from sluice_operator.kinds.guardrail_policy.kind import GuardrailPolicyKind
from sluice_operator.kinds.pipeline.kind import PipelineKind
from sluice_operator.reconciling.mirror import Mirror
from sluice_operator.reconciling.reconciler import Reconciler
from sluice_operator.reconciling.wakeups import Wakeups
from sluice_operator.snapshots import distributor as module
from sluice_operator.snapshots import last_good
from sluice_operator.snapshots.distributor import Distributor, Pace
from sluice_operator.snapshots.last_good import LastGood
from sluice_operator.snapshots.serving import serve_snapshots
from sluice_servicekit import telemetry_names as names
from sluice_servicekit.errors import FailedPrecondition, Unavailable
from sluice_servicekit.snapshots import Snapshots, watch
from support import waiting
from support.fake_cluster import FakeCluster

SPECS: Mapping[str, Any] = {
    "KnowledgeBase": {},
    "GuardrailPolicy": {},
    "ModelServer": {"extractive": {}},
    "Pipeline": {
        "knowledgeBaseRef": "default",
        "guardrailPolicyRef": "default",
        "steps": {"generate": {"modelServerRef": "default"}},
    },
}
PACE = Pace(gather=0.0, between=0.0, look=0.02, tell=0.02, welcome=0.1, again=0.02)


def resource(kind: str) -> Resource:
    return resource_of(KINDS[kind])


def manifest(kind: str, spec: Any = None, name: str = "default", **more: Any) -> dict[str, Any]:
    return {
        "apiVersion": API_VERSION,
        "kind": kind,
        "metadata": {"name": name, "namespace": "default"},
        "spec": SPECS[kind] if spec is None else spec,
        **more,
    }


@dataclass
class World:
    """A cluster, and the operator's snapshots on it."""

    cluster: FakeCluster = field(default_factory=FakeCluster)
    pace: Pace = PACE
    distributor: Distributor = field(init=False)
    wakeups: Wakeups = field(init=False)
    address: str = ""

    def put(self, kind: str, spec: Any = None, name: str = "default", **more: Any) -> None:
        self.cluster.create(resource(kind), manifest(kind, spec, name, **more))

    def all(self) -> "World":
        for kind in SPECS:
            self.put(kind)
        return self

    @property
    def kept(self) -> bool:
        """Whether there is a last good copy."""
        return (CONFIG_MAPS, "sluice", "sluice-snapshot") in self.cluster.objects

    def remove(self, kind: str, name: str = "default") -> None:
        found = self.cluster.objects.pop((resource(kind), "default", name))
        self.cluster.mirror.drop(resource(kind), found["metadata"]["uid"])

    @asynccontextmanager
    async def operator(self, synced: asyncio.Event | None = None) -> AsyncIterator[Distributor]:
        """A new process, with a mirror as it would list it."""
        mirror = Mirror()
        self.cluster.mirror = mirror
        for (of, _, _), each in self.cluster.objects.items():
            mirror.put(of, each)
        gate = synced or asyncio.Event()
        if synced is None:
            gate.set()

        async def filled() -> None:
            await gate.wait()

        self.wakeups = Wakeups()
        self.distributor = Distributor(mirror, self.wakeups, LastGood(self.cluster, "sluice"), self.pace)
        async with serve_snapshots(self.distributor, "127.0.0.1:0", filled) as port:
            self.address = f"127.0.0.1:{port}"
            yield self.distributor

    async def status(self, kind: str) -> Mapping[str, Any]:
        """After a pass."""
        kinds = {
            "Pipeline": PipelineKind(self.distributor, self.cluster.mirror),
            "GuardrailPolicy": GuardrailPolicyKind(self.distributor),
        }
        found = self.cluster.objects[resource(kind), "default", "default"]
        await Reconciler(self.cluster, self.cluster.mirror).run_once(kinds[kind], found["metadata"]["uid"])
        return self.cluster.objects[resource(kind), "default", "default"]["status"]


@asynccontextmanager
async def watcher(
    world: World, service: str, *, refusing: str = "", replica: int = 0
) -> AsyncIterator[Snapshots]:
    snapshots = Snapshots()

    async def refuse(snapshot: Snapshot) -> None:
        if any(policy.spec.mode == refusing for policy in snapshot.guardrail_policies.values()):
            raise FailedPrecondition("there is no such model here")

    snapshots.on_change(refuse)
    who = snapshot_pb2.Watcher(service=service, instance=f"{service}-{replica}")
    task = asyncio.create_task(watch(snapshots, world.address, who))
    try:
        yield snapshots
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def until(holds: Callable[[], Any]) -> None:
    async def look() -> bool:
        return bool(holds())

    await waiting.until(look)


async def until_status(world: World, kind: str, ready: str, acknowledged: str = "") -> Mapping[str, Any]:
    async def look() -> Mapping[str, Any] | None:
        status = await world.status(kind)
        there = (status.get("snapshot") or {}).get("acknowledged")
        good = conditions(status)["Ready"] == ready and acknowledged in ("", there)
        return status if good else None

    found = await waiting.until(look)
    assert found is not None
    return found


def conditions(status: Mapping[str, Any]) -> Mapping[str, str]:
    return {each["type"]: each["reason"] for each in status["conditions"]}


def message(status: Mapping[str, Any], condition: str) -> str:
    return next(each["message"] for each in status["conditions"] if each["type"] == condition)


async def test_nothing_is_served_before_the_mirror_is_filled_and_the_last_good_objects_are_read() -> None:
    world, synced, readable, tries = World().all(), asyncio.Event(), False, 0
    read = world.cluster.get

    async def get(*of: Any) -> Any:
        nonlocal tries
        tries += 1
        if not readable:
            raise Unavailable("not now")
        return await read(*of)

    world.cluster.get = get  # type: ignore[method-assign]
    async with world.operator(synced) as distributor, watcher(world, "guardrail") as snapshots:
        await until(lambda: distributor.servicer.watchers)
        assert tries == 0
        synced.set()
        await until(lambda: tries > 2)
        assert distributor.digest == ""
        readable = True
        await until(lambda: snapshots.ready)
    assert set(snapshots.current.pipelines) == {"default"}


async def test_a_change_reaches_every_watcher_and_the_status_says_so() -> None:
    world = World().all()
    async with (
        world.operator() as distributor,
        watcher(world, "guardrail") as one,
        watcher(world, "gateway") as two,
    ):
        await until(lambda: one.ready and two.ready)
        world.put("GuardrailPolicy", {"mode": "shadow"})
        await until(lambda: one.current.guardrail_policies["default"].spec.mode == "shadow")
        policy = await until_status(world, "GuardrailPolicy", "Ready", "2/2")
        pipeline = await until_status(world, "Pipeline", "Ready")

        assert policy["version"] == one.current.guardrail_policies["default"].version
        assert policy["snapshot"]["acknowledged"] == "2/2"
        assert policy["snapshot"]["digest"] == distributor.digest
        assert policy["inForceGeneration"] == policy["observedGeneration"] == 2
        assert conditions(pipeline) == {
            "ReferencesResolved": "Resolved",
            "Compiled": "Compiled",
            "Distributed": "Acknowledged",
            "DependenciesReady": "Ready",
            "Ready": "Ready",
        }


async def test_a_bad_change_is_held_and_says_why_and_a_restart_still_holds_it() -> None:
    world = World().all()
    async with world.operator() as distributor, watcher(world, "gateway") as snapshots:
        await until(
            lambda: snapshots.ready and world.cluster.objects.get((CONFIG_MAPS, "sluice", "sluice-snapshot"))
        )
        good = snapshots.current
    world.put("Pipeline", {**SPECS["Pipeline"], "knowledgeBaseRef": "typo"})

    async with world.operator() as distributor, watcher(world, "gateway") as snapshots:
        await until(lambda: snapshots.ready)
        assert snapshots.current == good
        assert distributor.view(Key("Pipeline", "default", "default")).standing.state is State.HELD  # type: ignore[union-attr]
        status = await until_status(world, "Pipeline", "Held")

        assert REGISTRY.get_sample_value(names.OPERATOR_SNAPSHOT_OBJECTS, {"state": "Held"}) == 1.0

    assert conditions(status)["ReferencesResolved"] == "NotFound"
    assert "Generation 1 stays in force" in message(status, "Compiled")
    assert "there is no KnowledgeBase 'typo'" in message(status, "Ready")


async def test_a_deleted_policy_stays_across_restarts_while_it_is_referred_to() -> None:
    world = World().all()
    async with world.operator(), watcher(world, "gateway") as snapshots:
        await until(
            lambda: snapshots.ready and world.cluster.objects.get((CONFIG_MAPS, "sluice", "sluice-snapshot"))
        )
        good = snapshots.current
    world.remove("GuardrailPolicy")

    async with world.operator(), watcher(world, "gateway") as snapshots:
        await until(lambda: snapshots.ready)
        status = await until_status(world, "Pipeline", "Deleted")

    assert snapshots.current == good
    assert "Create it again" in message(status, "ReferencesResolved")


async def test_a_refusal_is_told_with_its_reason_and_holds_up_nobody_who_runs_the_version() -> None:
    world = World().all()
    world.put("GuardrailPolicy", {}, "other")
    async with (
        world.operator(),
        watcher(world, "reranker", refusing="shadow") as one,
        watcher(world, "gateway") as two,
    ):
        await until(lambda: one.ready and two.ready)
        world.put("GuardrailPolicy", {"mode": "shadow"}, "other")
        await until(lambda: two.current.guardrail_policies["other"].spec.mode == "shadow")
        untouched = await until_status(world, "GuardrailPolicy", "Ready", "2/2")
        world.put("GuardrailPolicy", {"mode": "shadow"})
        await until(lambda: two.current.guardrail_policies["default"].spec.mode == "shadow")
        status = await until_status(world, "GuardrailPolicy", "Refused", "1/2")

        watchers = names.OPERATOR_SNAPSHOT_WATCHERS
        await until(
            lambda: REGISTRY.get_sample_value(watchers, {"service": "reranker", "state": "refusing"}) == 1.0
        )
        assert REGISTRY.get_sample_value(watchers, {"service": "gateway", "state": "current"}) == 1.0

    assert untouched["snapshot"]["refused"] == []
    assert status["snapshot"]["refused"] == [
        {"service": "reranker", "instance": "reranker-0", "reason": "there is no such model here"}
    ]


async def test_what_a_service_cannot_put_in_force_is_told_of_the_object_alone() -> None:
    world = World().all()
    async with world.operator(), watcher(world, "guardrail") as snapshots:
        await until(lambda: snapshots.ready)
        snapshots.report(["GuardrailPolicy default: module sha256:12 is not in the folder"])
        policy = await until_status(world, "GuardrailPolicy", "NotInForceThere")
        pipeline = await until_status(world, "Pipeline", "NotReady")

    assert "module sha256:12 is not in the folder" in message(policy, "Distributed")
    assert conditions(pipeline)["Distributed"] == "Acknowledged"
    assert "module sha256:12" in message(pipeline, "DependenciesReady")


async def test_status_changes_that_do_not_matter_compile_nothing_and_many_that_do_compile_seldom() -> None:
    world = World().all()
    world.put("ModelServer", {"baseModel": "base", "vllm": {"image": "vllm"}}, "vllm")
    spec = {
        "modelServerRef": "vllm",
        "revision": "1",
        "source": {"http": {"url": "https://example.org/a.tar"}},
    }
    async with world.operator() as distributor:
        world.put("LoRAAdapter", {**spec, "modelName": "fine"}, "fine")
        await until(lambda: distributor.snapshot and "fine" in distributor.snapshot.adapters)
        before = distributor.compilations
        for seconds in range(50):
            world.put("LoRAAdapter", {**spec, "modelName": "fine"}, "fine", status={"loadSeconds": seconds})
            distributor.wake_compiler()
            await asyncio.sleep(0)
        world.put("KnowledgeBase", {}, "mark")
        await until(lambda: distributor.snapshot and "mark" in distributor.snapshot.knowledge_bases)
        assert distributor.compilations == before + 1

        for number in range(200):
            ready = [{"type": "Ready", "status": "True"}]
            world.put(
                "LoRAAdapter",
                {**spec, "modelName": f"fine-{number}"},
                f"fine-{number}",
                status={"engineName": f"fine-{number}--1", "conditions": ready},
            )
            distributor.wake_compiler()
            await asyncio.sleep(0)
        await until(lambda: distributor.snapshot and len(distributor.snapshot.adapters) == 201)
        assert distributor.compilations < before + 100


async def test_a_fault_in_a_compilation_is_not_the_end_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World().all()
    async with world.operator() as distributor, watcher(world, "gateway") as snapshots:
        await until(lambda: snapshots.ready)
        before, settle = distributor.digest, module.settle
        failed = asyncio.Event()

        def broken(*of: Any) -> Any:
            failed.set()
            raise ZeroDivisionError

        monkeypatch.setattr(module, "settle", broken)
        world.put("GuardrailPolicy", {"mode": "shadow"})
        await until(failed.is_set)
        assert distributor.digest == before
        monkeypatch.setattr(module, "settle", settle)
        await until(lambda: snapshots.current.guardrail_policies["default"].spec.mode == "shadow")


async def test_a_restart_tells_nobody_that_watchers_are_away_while_they_come_back() -> None:
    world = World().all()
    async with world.operator(), watcher(world, "gateway"):
        before = await until_status(world, "Pipeline", "Ready")
        await until(lambda: world.kept)

    async with world.operator() as distributor:
        await until(lambda: distributor.digest)
        during = await world.status("Pipeline")
        after = await until_status(world, "Pipeline", "NoWatchers")

    assert during == before
    assert after["snapshot"]["acknowledged"] == "0/0"


async def test_the_last_good_copy_is_written_on_change_alone_and_in_as_many_parts_as_it_needs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(last_good, "CHUNK_BYTES", 100)
    world = World().all()
    kept = LastGood(world.cluster, "sluice")
    async with world.operator():
        await until(lambda: world.kept)
    good = await kept.read()

    assert set(good) == {Key(kind, "default", "default") for kind in SPECS}
    assert {key: each.object.spec for key, each in good.items()} == {
        key: KINDS[key.kind].model_validate(manifest(key.kind)).spec for key in good
    }
    assert not await kept.write(good)
    assert await kept.write({key: each for key, each in good.items() if key.kind != "Pipeline"})
    parts = [each["metadata"]["name"] for each in await world.cluster.list(CONFIG_MAPS, "sluice")]
    index = json.loads(json.dumps(await world.cluster.get(CONFIG_MAPS, "sluice", "sluice-snapshot")))
    assert len(parts) > 2
    assert set(parts) == {"sluice-snapshot", *index["data"]["chunks"].split()}
    assert len(await LastGood(world.cluster, "sluice").read()) == 3


@asynccontextmanager
async def loops(world: World) -> AsyncIterator[None]:
    """Passes over every Pipeline and GuardrailPolicy whenever it is woken."""
    kinds = (PipelineKind(world.distributor, world.cluster.mirror), GuardrailPolicyKind(world.distributor))
    reconciler = Reconciler(world.cluster, world.cluster.mirror)

    async def loop(kind: Any, uid: str) -> None:
        while True:
            world.wakeups.clear(uid)
            await reconciler.run_once(kind, uid)
            await world.wakeups.wait(uid, 60.0)

    tasks = [
        asyncio.create_task(loop(kind, each["metadata"]["uid"]))
        for kind in kinds
        for each in world.cluster.mirror.all(kind.resource)
    ]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def test_many_acknowledgements_are_few_writes_to_whom_they_concern_and_none_to_others() -> None:
    world = World(pace=replace(PACE, tell=0.5)).all()
    for number in range(40):
        world.put("GuardrailPolicy", {}, f"policy-{number}")
        world.put("Pipeline", {**SPECS["Pipeline"], "guardrailPolicyRef": f"policy-{number}"}, f"pl-{number}")

    def acknowledged(kind: str, name: str) -> str:
        status = world.cluster.objects[resource(kind), "default", name].get("status") or {}
        return str((status.get("snapshot") or {}).get("acknowledged"))

    async with contextlib.AsyncExitStack() as stack:
        distributor = await stack.enter_async_context(world.operator())
        for service in ("guardrail", "retriever", "reranker", "inference", "gateway"):
            for replica in range(3):
                await stack.enter_async_context(watcher(world, service, replica=replica))
        await stack.enter_async_context(loops(world))
        everything = [
            (each[0].kind, each[2])
            for each in world.cluster.objects
            if each[0].kind in ("Pipeline", "GuardrailPolicy")
        ]
        await until(lambda: all(acknowledged(*each) == "15/15" for each in everything))
        world.cluster.writes.clear()

        world.put("GuardrailPolicy", {"mode": "shadow"}, "policy-7")
        found = world.cluster.objects[resource("GuardrailPolicy"), "default", "policy-7"]
        world.wakeups.wake(found["metadata"]["uid"])
        distributor.wake_compiler()
        await until(
            lambda: (
                distributor.snapshot
                and distributor.snapshot.guardrail_policies["policy-7"].spec.mode == "shadow"
            )
        )
        version = distributor.snapshot.guardrail_policies["policy-7"].version  # type: ignore[union-attr]

        def told() -> bool:
            now = [
                world.cluster.objects[resource(kind), "default", name]["status"]
                for kind, name in (("GuardrailPolicy", "policy-7"), ("Pipeline", "pl-7"))
            ]
            return now[0]["version"] == version and all(conditions(each)["Ready"] == "Ready" for each in now)

        await until(
            lambda: (
                told()
                and acknowledged("Pipeline", "pl-7") == acknowledged("GuardrailPolicy", "policy-7") == "15/15"
            )
        )

    written = Counter((key[0].kind, key[2]) for verb, key in world.cluster.writes if verb == "apply_status")
    assert set(written) == {("GuardrailPolicy", "policy-7"), ("Pipeline", "pl-7")}
    assert max(written.values()) <= 8
