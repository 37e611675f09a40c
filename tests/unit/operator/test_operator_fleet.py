"""The agents of all pods, as the operator holds them: real gRPC to agents' doubles, an API server in memory."""

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from doubles.agent import Files, Settings
from sluice_api.objects.lora_adapter import LocalSource, LoRAAdapter, Source
from sluice_inference.adapter_agent.reasons import Reason
from sluice_operator.agents.fleet import Fleet
from sluice_operator.agents.protocol import Ended, Load, Resolve, Unload
from sluice_operator.agents.settings import FleetSettings
from sluice_operator.agents.views import AgentView, PodView, Version
from sluice_operator.cluster.resources import PODS, SECRETS, resource_of
from sluice_servicekit.errors import PermissionDenied
from support.fake_cluster import FakeCluster
from support.fake_pods import FakePod, FakePods
from support.waiting import until

NAMESPACE, SERVER = "ns", "vllm"
ADAPTERS = resource_of(LoRAAdapter)


def source(path: str = "/models/a") -> Source:
    return Source(local=LocalSource(path=path))


def version(path: str = "/models/a") -> Version:
    files = Files.named(source(path).model_dump_json(exclude_none=True))
    return Version(files.digest, files.config_digest)


@dataclass
class World:
    """A fleet over fake pods, and whom it has woken."""

    cluster: FakeCluster
    pods: FakePods
    fleet: Fleet
    woken: Counter[str] = field(default_factory=Counter)

    def views(self) -> dict[str, PodView]:
        return {view.name: view for view in self.fleet.pods(NAMESPACE, SERVER)}

    def agent(self, pod: FakePod) -> AgentView | None:
        view = self.views().get(pod.name)
        return view.agent if view else None

    async def until_seen(self, pod: FakePod, holds: Callable[[AgentView], object] = bool) -> AgentView:
        async def seen() -> AgentView | None:
            agent = self.agent(pod)
            return agent if agent and holds(agent) else None

        return await until(seen)

    async def ended(self, asker: str, count: int = 1) -> list[Ended]:
        found: list[Ended] = []

        async def all_of_them() -> bool:
            found.extend(self.fleet.take_ended(asker))
            return len(found) >= count

        await until(all_of_them)
        assert len(found) == count
        return found

    async def loaded(self, asker: str, name: str, pod: FakePod, path: str = "/models/a") -> None:
        self.fleet.start(asker, Resolve(pod.uid, source(path)))
        (resolved,) = await self.ended(asker)
        assert resolved.trouble is None
        self.fleet.start(asker, Load(pod.uid, name, version(path)))
        (loaded,) = await self.ended(asker)
        assert loaded.trouble is None

    def adapter(self, name: str) -> str:
        """The uid of an adapter of the server."""
        manifest = {
            "apiVersion": ADAPTERS.api_version,
            "kind": ADAPTERS.kind,
            "metadata": {"name": name, "namespace": NAMESPACE},
            "spec": {"modelServerRef": SERVER, "modelName": name},
        }
        return str(self.cluster.create(ADAPTERS, manifest)["metadata"]["uid"])


@asynccontextmanager
async def world(
    count: int,
    settings: Settings = Settings(),  # noqa: B008 - frozen
    interval: float = 0.2,
    **options: Any,
) -> AsyncIterator[World]:
    cluster = FakeCluster()
    woken: Counter[str] = Counter()
    async with FakePods(cluster, NAMESPACE, SERVER, count, settings=settings) as pods:
        paces = FleetSettings(port=pods.port, interval=interval, **options)
        async with Fleet(cluster, cluster.mirror, lambda uid: woken.update([uid]), paces) as fleet:
            made = World(cluster, pods, fleet, woken)
            made.views()
            for pod in pods.pods:
                await made.until_seen(pod)
            yield made


async def test_a_call_ends_wakes_who_asked_and_is_in_the_view_at_once() -> None:
    async with world(1, interval=60) as of:
        (pod,) = of.pods.pods
        before = pod.agent.calls["GetStatus"]
        assert of.fleet.start("a", Resolve(pod.uid, source(), rank=8))
        assert not of.fleet.start("a", Resolve(pod.uid, source()))
        (ended,) = await of.ended("a")
        assert ended.trouble is None
        assert ended.resolved is not None
        assert (ended.resolved.version, ended.resolved.rank) == (version(), 8)
        assert of.woken["a"] == 1
        seen = of.agent(pod)
        assert seen is not None
        assert seen.here == {version()}

        of.fleet.start("a", Load(pod.uid, "a--1", version()))
        await of.ended("a")
        seen = of.agent(pod)
        assert seen is not None
        assert seen.loaded == {"a--1": version()}
        assert of.fleet.engine_names_in_use(NAMESPACE, SERVER) == {pod.uid: {"a--1"}}

        of.fleet.start("a", Unload(pod.uid, "a--1"))
        await of.ended("a")
        seen = of.agent(pod)
        assert seen is not None
        assert seen.loaded == {}
        assert pod.agent.calls["GetStatus"] == before
        assert of.fleet.running("a") == []


async def test_progress_is_told_while_a_call_goes_on() -> None:
    async with world(1, Settings(progress_seconds=0.05)) as of:
        (pod,) = of.pods.pods
        pod.agent.faults.slow_sources["/models/a"] = 60
        of.fleet.start("a", Resolve(pod.uid, source()))

        async def fetching() -> bool:
            (running,) = of.fleet.running("a")
            return running.phase == "Fetching" and 0 < running.bytes < running.total_bytes

        await until(fetching)
        of.fleet.forget("a")
        assert of.fleet.running("a") == []
        assert of.fleet.take_ended("a") == []


@pytest.mark.parametrize(
    ("wrong", "permanent"),
    [
        (Reason.SOURCE_NOT_FOUND, True),
        (Reason.NOT_SAFETENSORS, True),
        (Reason.SHAPE_MISMATCH, True),
        (Reason.SOURCE_UNAVAILABLE, False),
        (Reason.DISK_FULL, False),
    ],
)
async def test_an_agents_reason_is_passed_on(wrong: Reason, permanent: bool) -> None:
    async with world(1) as of:
        of.pods.catalogue.wrong["/models/bad"] = wrong
        of.fleet.start("a", Resolve(of.pods[0].uid, source("/models/bad")))
        (ended,) = await of.ended("a")
        assert ended.trouble is not None
        assert (ended.trouble.reason, ended.trouble.permanent) == (wrong, permanent)
        assert "/models/bad" in ended.trouble.message


async def test_one_status_serves_all_who_ask() -> None:
    async with world(2, interval=60) as of:
        before = [pod.agent.calls["GetStatus"] for pod in of.pods.pods]
        for _ in range(200):
            of.views()
            await asyncio.sleep(0)
        assert [pod.agent.calls["GetStatus"] for pod in of.pods.pods] == before


async def test_who_has_a_name_is_woken_when_it_vanishes_and_nobody_else() -> None:
    async with world(1) as of:
        (pod,) = of.pods.pods
        for asker, name, path in (("a", "a--1", "/models/a"), ("b", "b--1", "/models/b")):
            await of.loaded(asker, name, pod, path)
        of.adapter("c")
        await of.until_seen(pod, lambda agent: len(agent.loaded) == 2)
        of.woken.clear()

        pod.agent.engine.unload("a--1")
        await of.until_seen(pod, lambda agent: "a--1" not in agent.loaded)
        assert of.woken == {"a": 1}


async def test_names_that_nobody_here_has_loaded_wake_all_adapters_of_the_server() -> None:
    async with world(1) as of:
        uids = {of.adapter(name) for name in "ab"}
        of.woken.clear()
        of.pods[0].agent.engine.put("theirs", "/elsewhere")
        agent = await of.until_seen(of.pods[0], lambda agent: "theirs" in agent.loaded)
        assert agent.loaded == {"theirs": None}

        async def all_woken() -> bool:
            return of.woken.keys() == uids

        await until(all_woken)


async def test_a_restarted_engine_is_looked_at_at_once_and_has_nothing() -> None:
    async with world(1, interval=60) as of:
        (pod,) = of.pods.pods
        uid = of.adapter("a")
        await of.loaded(uid, "a--1", pod)
        of.woken.clear()
        await of.pods.restart(pod)
        assert of.views()[pod.name].restarts == 1
        agent = await of.until_seen(pod)
        assert agent.loaded == {}
        assert agent.here == {version()}

        async def woken() -> bool:
            return bool(of.woken[uid])

        await until(woken)


async def test_a_status_that_is_older_than_a_load_takes_nothing_back() -> None:
    async with world(1) as of:
        (pod,) = of.pods.pods
        of.fleet.start("a", Resolve(pod.uid, source()))
        await of.ended("a")
        pod.agent.faults.slow_status = 1.0
        asked = pod.agent.calls["GetStatus"]

        async def under_way() -> bool:
            return pod.agent.calls["GetStatus"] > asked

        await until(under_way)
        of.fleet.start("a", Load(pod.uid, "a--1", version()))
        await of.ended("a")
        pod.agent.faults.slow_status = 0.0
        asked = pod.agent.calls["GetStatus"]
        while pod.agent.calls["GetStatus"] < asked + 2:
            agent = of.agent(pod)
            assert agent is not None
            assert agent.loaded == {"a--1": version()}
            await asyncio.sleep(0.01)


async def test_an_agent_that_cannot_be_reached_says_so_and_comes_back() -> None:
    async with world(2) as of:
        uid = of.adapter("a")
        near, far = of.pods.pods
        await of.pods.cut_off(far)
        agent = await of.until_seen(far, lambda agent: not agent.reachable)
        assert agent.trouble is not None
        assert agent.trouble.reason == "AGENT_UNREACHABLE"
        assert not agent.trouble.permanent
        assert f"{far.address}:{of.pods.port}" in agent.trouble.message
        assert "connection refused" in agent.trouble.message

        of.fleet.start("x", Load(far.uid, "a--1", version()))
        of.fleet.start("x", Resolve(near.uid, source()))
        ended = {each.call.pod: each.trouble for each in await of.ended("x", 2)}
        assert ended[near.uid] is None
        assert ended[far.uid] is not None
        assert ended[far.uid].reason == "AGENT_UNREACHABLE"  # type: ignore[union-attr]

        of.woken.clear()
        await of.pods.reconnect(far)
        await of.until_seen(far, lambda agent: agent.reachable)

        async def woken() -> bool:
            return bool(of.woken[uid])

        await until(woken)


async def test_an_engine_that_is_down_is_told_from_an_agent_that_is() -> None:
    async with world(1) as of:
        of.pods[0].agent.faults.engine_down = True
        agent = await of.until_seen(of.pods[0], lambda agent: not agent.engine_reachable)
        assert agent.reachable
        assert agent.trouble is not None
        assert agent.trouble.reason == "ENGINE_UNREACHABLE"


async def test_silent_agents_hold_up_no_others() -> None:
    async with world(8, statuses=2, loads=2, suspects=2, status_seconds=0.5) as of:
        *silent, well = of.pods.pods
        for pod in silent:
            pod.agent.faults.silent = True
        for pod in silent:
            await of.until_seen(pod, lambda agent: not agent.reachable)
            of.fleet.start("x", Load(pod.uid, "a--1", version(), seconds=300))
        for number in range(5):
            await of.loaded("a", f"a--{number}", well)
        assert len(of.fleet.running("x")) == len(silent)
        await of.until_seen(well, lambda agent: len(agent.loaded) == 5)


async def test_a_pod_loads_one_at_a_time_and_pods_load_side_by_side() -> None:
    async with world(3) as of:
        for pod in of.pods.pods:
            pod.agent.faults.slow_loads["/models/a"] = 0.3
            of.fleet.start("r", Resolve(pod.uid, source()))
        await of.ended("r", 3)
        for number in range(3):
            for pod in of.pods.pods:
                of.fleet.start(f"a{number}", Load(pod.uid, f"a--{number}", version()))
        most: Counter[str] = Counter()
        together = 0
        while any(of.fleet.running(f"a{number}") for number in range(3)):
            there = {pod.name: pod.agent.state.loading for pod in of.pods.pods}
            together = max(together, sum(there.values()))
            for name, now in there.items():
                most[name] = max(most[name], now)
            await asyncio.sleep(0.01)
        assert set(most.values()) == {1}
        assert together == 3
        assert all(len(pod.agent.loaded) == 3 for pod in of.pods.pods)


async def test_calls_to_a_pod_that_goes_end_as_that() -> None:
    async with world(2) as of:
        gone = of.pods[0]
        gone.agent.faults.silent = True
        of.fleet.start("a", Resolve(gone.uid, source()))
        for number in range(3):
            of.fleet.start("a", Load(gone.uid, f"a--{number}", version()))
        of.cluster.remove(PODS, NAMESPACE, gone.name)
        ended = await of.ended("a", 4)
        assert {each.trouble.reason for each in ended if each.trouble} == {"POD_GONE"}
        assert gone.name not in of.views()
        of.fleet.start("a", Load(gone.uid, "a--9", version()))
        (late,) = await of.ended("a")
        assert late.trouble is not None
        assert late.trouble.reason == "POD_GONE"


async def test_calls_to_a_pod_that_gets_another_address_end_and_the_new_one_is_asked() -> None:
    async with world(2) as of:
        moved, other = of.pods.pods
        other.agent.engine.put("theirs", "/elsewhere")
        moved.agent.faults.silent = True
        for number in range(2):
            of.fleet.start("a", Load(moved.uid, f"a--{number}", version(), seconds=300))
        hung = moved.agent.calls["Heard"]

        async def a_status_and_a_load_hang() -> bool:
            return moved.agent.calls["Heard"] >= hung + 2

        await until(a_status_and_a_load_hang)
        await of.pods.move(moved, other.address)
        ended = await of.ended("a", 2)
        assert {each.trouble and each.trouble.reason for each in ended} <= {
            "AGENT_UNREACHABLE",
            "ADAPTER_MISSING",
        }
        await of.until_seen(moved, lambda agent: "theirs" in agent.loaded)


async def test_a_token_is_read_again_when_it_is_refused_and_shown_nowhere(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    async with world(2, token_seconds=0.2) as of:
        for pod in of.pods.pods:
            pod.agent.token = "n" * 64
        agent = await of.until_seen(of.pods[0], lambda agent: not agent.reachable)
        assert agent.trouble is not None
        assert agent.trouble.reason == "UNAUTHENTICATED"
        assert "ns/vllm-adapter-agent" in agent.trouble.message

        secret = {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": "vllm-adapter-agent", "namespace": NAMESPACE},
            "data": {"token": "bm5u" * 21 + "bg=="},
        }
        of.cluster.create(SECRETS, secret)
        for pod in of.pods.pods:
            await of.until_seen(pod, lambda agent: agent.reachable)
        told = caplog.text + repr(of.views()) + repr(vars(of.fleet)) + agent.trouble.message
        assert of.pods.token not in told
        assert "n" * 64 not in told


async def test_without_a_secret_the_agent_is_asked_all_the_same_and_the_message_names_it() -> None:
    async with world(1) as of:
        of.cluster.remove(SECRETS, NAMESPACE, "vllm-adapter-agent")
        of.pods[0].agent.token = "other"
        agent = await of.until_seen(of.pods[0], lambda agent: not agent.reachable)
        assert agent.trouble is not None
        assert "ns/vllm-adapter-agent" in agent.trouble.message


async def test_a_load_that_takes_too_long_is_told_from_an_agent_that_does_not_answer() -> None:
    async with world(2, status_seconds=0.5) as of:
        slow, silent = of.pods.pods
        for pod in of.pods.pods:
            of.fleet.start("r", Resolve(pod.uid, source()))
        await of.ended("r", 2)
        slow.agent.faults.slow_loads["/models/a"] = 300
        silent.agent.faults.silent = True
        await of.until_seen(silent, lambda agent: not agent.reachable)
        for pod in of.pods.pods:
            of.fleet.start("a", Load(pod.uid, "a--1", version(), seconds=1.0))
        reasons = {each.call.pod: each.trouble and each.trouble.reason for each in await of.ended("a", 2)}
        assert reasons == {slow.uid: "ENGINE_TOO_SLOW", silent.uid: "DEADLINE_EXCEEDED"}


async def test_a_secret_that_cannot_be_read_is_told_from_an_agent_that_cannot_be_reached() -> None:
    async with world(1, token_seconds=0.1) as of:

        def refuse(verb: str) -> None:
            raise PermissionDenied("secrets is forbidden")

        of.cluster.before_read = refuse
        of.pods[0].agent.token = "another"
        agent = await of.until_seen(of.pods[0], lambda agent: not agent.reachable)
        assert agent.trouble is not None
        assert agent.trouble.reason == "TOKEN_UNREADABLE"
        assert "secrets is forbidden" in agent.trouble.message
        assert "ns/vllm-adapter-agent" in agent.trouble.message


async def test_nothing_is_left_once_it_is_closed() -> None:
    before = asyncio.all_tasks()
    async with world(3) as of:
        for pod in of.pods.pods:
            pod.agent.faults.slow_sources["/models/a"] = 300
            of.fleet.start("a", Resolve(pod.uid, source()))
        await of.fleet.close()
        woken = dict(of.woken)
    await asyncio.sleep(0)
    assert {
        task.get_name() for task in asyncio.all_tasks() - before if "agent of" in task.get_name()
    } == set()
    assert dict(of.woken) == woken
