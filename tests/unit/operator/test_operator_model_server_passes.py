"""Passes over model servers: what they read, what they keep, whom they wake."""

import base64
from collections.abc import Mapping
from typing import Any

import pytest

from sluice_operator.cluster.protocol import Manifest
from sluice_operator.cluster.resources import (
    AUTOSCALERS,
    DEPLOYMENTS,
    PODS,
    SCALED_OBJECTS,
    SECRETS,
    SERVICES,
    Resource,
)
from sluice_operator.kinds.model_server import layout
from sluice_operator.kinds.model_server.kind import ModelServerKind
from sluice_operator.kinds.model_server.secrets import resolved
from sluice_operator.kinds.model_server.serving import LORA_ADAPTERS
from sluice_operator.reconciling.reconciler import Outcome, Reconciler
from support.fake_cluster import FakeCluster
from support.model_servers import SETTINGS, StubAgents, answering, body, item, pod

LORA = {"maxLoras": 2, "maxCpuLoras": 8, "maxLoraRank": 12}
AGENT_SECRET = (SECRETS, "default", "llama-adapter-agent")


class World:
    """A server, its operator, and an API server in memory."""

    def __init__(self, **more: Any) -> None:
        self.now = 1000.0
        self.tokens = 0
        self.cluster = FakeCluster(**more)
        self.kind = ModelServerKind(
            self.cluster, self.cluster.mirror, StubAgents(), SETTINGS, lambda: self.now, self.make_token
        )
        self.reconciler = Reconciler(self.cluster, self.cluster.mirror, lambda: self.now)
        self.uid = ""

    def make_token(self) -> str:
        self.tokens += 1
        return f"{self.tokens:048d}"

    def apply(self, **vllm: Any) -> None:
        made = self.cluster.create(self.kind.resource, body(**vllm))
        self.uid = made["metadata"]["uid"]

    async def run(self) -> Outcome:
        return await self.reconciler.run_once(self.kind, self.uid)

    def at(self, resource: Resource, name: str = "llama") -> Manifest | None:
        return self.cluster.objects.get((resource, "default", name))

    @property
    def status(self) -> Mapping[str, Any]:
        found = self.at(self.kind.resource)
        assert found is not None
        return found["status"]

    def reason(self, condition: str) -> str:
        return next((each["reason"] for each in self.status["conditions"] if each["type"] == condition), "")

    def add_pod(self, name: str, **status: Any) -> None:
        made = pod(name, **status)
        made["metadata"]["labels"] = layout.selector("llama", self.uid)
        made["metadata"].pop("uid")
        self.cluster.create(PODS, made)

    def secret(self, name: str, **data: str) -> None:
        held = {key: base64.b64encode(value.encode()).decode() for key, value in data.items()}
        self.cluster.create(
            SECRETS,
            {
                "apiVersion": "v1",
                "kind": "Secret",
                "metadata": {"name": name, "namespace": "default"},
                "data": held,
            },
        )

    def adapter(self, name: str, pods: list[str], server: str = "llama") -> None:
        uids = [self.cluster.objects[PODS, "default", each]["metadata"]["uid"] for each in pods]
        loaded = [
            {"podUid": uid, "state": "Loaded", "engineName": f"{name}--1", "restartCount": 0} for uid in uids
        ]
        self.cluster.create(
            LORA_ADAPTERS,
            {
                "apiVersion": "sluice.dev/v1alpha1",
                "kind": "LoRAAdapter",
                "metadata": {"name": name, "namespace": "default"},
                "spec": {"modelServerRef": server},
                "status": {"engineName": f"{name}--1", "pods": loaded},
            },
        )


async def test_a_pass_that_changes_nothing_writes_nothing() -> None:
    world = World()
    world.secret("key", **{"api-key": "k"})
    world.apply(replicas=2, lora=LORA, apiKeySecret="key")
    await world.run()
    world.add_pod("a", **answering())
    await world.run()
    writes = len(world.cluster.writes)
    for _ in range(3):
        world.now += 60
        assert not (await world.run()).failed
    assert world.cluster.writes[writes:] == []
    assert world.tokens == 1


async def test_a_token_is_made_once_and_anew_when_it_is_lost() -> None:
    world = World()
    world.apply(lora=LORA)
    await world.run()
    first = world.cluster.objects[AGENT_SECRET]["data"]["token"]
    assert len(base64.b64decode(first)) == 48

    # The stream has not told of the Secret yet, as after a restart: it is asked for, and not made anew.
    world.cluster.mirror.drop(SECRETS, world.cluster.objects[AGENT_SECRET]["metadata"]["uid"])
    await world.run()
    assert world.cluster.objects[AGENT_SECRET]["data"]["token"] == first

    world.cluster.remove(*AGENT_SECRET)
    await world.run()
    second = world.cluster.objects[AGENT_SECRET]["data"]["token"]
    assert second != first
    for bad in ("", "not base64!", base64.b64encode(b"short").decode()):
        world.cluster.edit(*AGENT_SECRET, {"data": {"token": bad}})
        await world.run()
        assert len(base64.b64decode(world.cluster.objects[AGENT_SECRET]["data"]["token"])) == 48


async def test_pods_are_replaced_for_what_secrets_hold_and_not_for_a_new_token() -> None:
    world = World()
    world.secret("key", **{"api-key": "1234"})
    world.apply(lora=LORA, apiKeySecret="key")

    async def digest() -> str:
        await world.run()
        found = world.at(DEPLOYMENTS)
        assert found is not None
        return str(found["spec"]["template"]["metadata"]["annotations"][layout.SECRETS_DIGEST])

    first = await digest()
    world.cluster.remove(*AGENT_SECRET)
    assert await digest() == first
    world.secret("key", **{"api-key": "5678"})
    assert await digest() != first
    world.secret("key", **{"api-key": "1234", "other": "x"})
    assert await digest() == first


def test_nobody_who_sees_pods_can_try_short_keys() -> None:
    vllm = item(apiKeySecret="key").object.spec.vllm
    assert vllm is not None
    digests = {
        resolved(vllm, {"key": {"metadata": {"uid": uid}, "data": {"api-key": "MTIzNA=="}}}).digest
        for uid in ("a", "b")
    }
    assert len(digests) == 2


async def test_what_belongs_to_another_is_said_and_left() -> None:
    world = World()
    theirs = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "llama", "namespace": "default"},
        "spec": {"ports": [{"port": 80}]},
    }
    world.cluster.create(SERVICES, theirs)
    world.apply()
    outcome = await world.run()
    assert not outcome.failed
    assert outcome.again_in == 30.0
    assert world.reason("Configured") == world.reason("Stalled") == "NameTaken"
    assert world.at(DEPLOYMENTS) is not None
    found = world.at(SERVICES)
    assert found is not None
    assert found["spec"] == theirs["spec"]

    world.cluster.remove(SERVICES, "default", "llama")
    await world.run()
    assert world.reason("Configured") == "Configured"
    assert world.reason("Stalled") == ""


async def test_keda_is_missed_and_found() -> None:
    world = World(missing=[SCALED_OBJECTS])
    world.apply(autoscaling={"minReplicas": 2, "maxReplicas": 4, "queue": {"prometheus": "http://p"}})
    outcome = await world.run()
    assert not outcome.failed
    assert outcome.again_in == 30.0
    assert world.reason("Autoscaled") == "KedaMissing"
    world.cluster.missing.clear()
    await world.run()
    assert world.at(SCALED_OBJECTS) is not None
    assert world.reason("Autoscaled") == "Starting"


async def test_what_keda_makes_for_itself_stays() -> None:
    world = World()
    world.apply(autoscaling={"maxReplicas": 4, "queue": {"prometheus": "http://p"}})
    await world.run()
    scaled = world.at(SCALED_OBJECTS)
    assert scaled is not None
    owner = {"apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject", "name": "llama", "controller": True}
    # KEDA before 2.18 knows nothing of labels that it should leave out.
    world.cluster.create(
        AUTOSCALERS,
        {
            "apiVersion": "autoscaling/v2",
            "kind": "HorizontalPodAutoscaler",
            "metadata": {
                "name": "keda-hpa-llama",
                "namespace": "default",
                "labels": scaled["metadata"]["labels"],
                "ownerReferences": [{**owner, "uid": scaled["metadata"]["uid"]}],
            },
            "spec": {},
        },
    )
    await world.run()
    assert world.at(AUTOSCALERS, "keda-hpa-llama") is not None


async def test_another_way_to_scale_takes_the_place_of_the_one_before() -> None:
    world = World()
    queue = {"prometheus": "http://p"}
    world.apply(autoscaling={"maxReplicas": 4, "queue": queue})
    await world.run()
    world.apply(autoscaling={"maxReplicas": 4, "metric": {"name": "a", "average": 1}})
    await world.run()
    assert world.at(SCALED_OBJECTS) is None
    assert world.at(AUTOSCALERS) is not None
    world.apply(replicas=3)
    await world.run()
    assert world.at(AUTOSCALERS) is None
    found = world.at(DEPLOYMENTS)
    assert found is not None
    assert found["spec"]["replicas"] == 3


async def test_a_thousand_adapters_make_two_statuses_a_second() -> None:
    world = World()
    world.apply(lora=LORA)
    await world.run()
    for name in ("a", "b"):
        world.add_pod(name, **answering())
    world.now += 1
    await world.run()
    told = sum(verb == "apply_status" for verb, _ in world.cluster.writes)
    waits = []
    for number in range(1000):
        world.now += 0.005
        world.adapter(f"adapter-{number}", ["a", "b"])
        if number % 10 == 0:  # a burst is one pass
            waits.append((await world.run()).again_in)
    world.now += max(wait for wait in waits if wait)
    await world.run()

    told = sum(verb == "apply_status" for verb, _ in world.cluster.writes) - told
    assert 9 <= told <= 12  # in five seconds
    assert [len(each["adapters"]) for each in world.status["endpoints"]] == [1000, 1000]


async def test_adapters_that_leave_are_not_in_rotation() -> None:
    world = World()
    world.apply(lora=LORA)
    await world.run()
    world.add_pod("a", **answering())
    world.adapter("one", ["a"])
    world.adapter("two", ["a"])
    world.adapter("foreign", ["a"], server="other")
    await world.run()
    assert world.status["endpoints"][0]["adapters"] == ["one--1", "two--1"]
    world.cluster.add_finalizer(LORA_ADAPTERS, "default", "one", "sluice.dev/operator")
    world.cluster.remove(LORA_ADAPTERS, "default", "one")
    world.now += 1
    await world.run()
    assert world.status["endpoints"][0]["adapters"] == ["two--1"]


async def test_a_status_that_cannot_be_read_is_told_anew() -> None:
    world = World()
    world.apply()
    odd = {"status": {"endpoints": [{"name": "a", "url": "http://a/v1", "zone": "new"}], "replicas": -1}}
    world.cluster.edit(world.kind.resource, "default", "llama", odd)
    assert not (await world.run()).failed
    assert world.status["endpoints"] == []
    assert world.reason("Available") == "Starting"


async def test_who_is_woken() -> None:
    world = World()
    world.apply(
        apiKeySecret="key",
        env=[{"name": "A", "valueFrom": {"secretKeyRef": {"name": "env", "key": "a"}}}],
        agent={
            "sourceSecrets": {"s3": "bucket"},
            "env": [{"name": "B", "valueFrom": {"secretKeyRef": {"name": "agent", "key": "a"}}}],
        },
    )
    mirror = world.cluster.mirror

    def woken(resource: Resource, name: str, namespace: str = "default", **more: Any) -> list[str]:
        metadata = {"name": name, "namespace": namespace, **more.pop("metadata", {})}
        return list(world.kind.concerned({"metadata": metadata, **more}, resource, mirror))

    for name in ("key", "env", "bucket", "agent"):
        assert woken(SECRETS, name) == [world.uid]
        assert woken(SECRETS, name, "elsewhere") == []
    assert woken(SECRETS, "other") == []
    assert woken(LORA_ADAPTERS, "a", spec={"modelServerRef": "llama"}) == [world.uid]
    assert woken(LORA_ADAPTERS, "a", spec={"modelServerRef": "other"}) == []
    assert woken(PODS, "a", metadata={"labels": layout.selector("llama", world.uid)}) == [world.uid]
    assert woken(PODS, "a", metadata={"labels": {"sluice.dev/model-server": "llama"}}) == []


@pytest.mark.parametrize(
    "spec", [{"extractive": {}}, {"baseModel": "a", "external": {"urls": ["http://a/v1"]}}]
)
async def test_a_server_that_leaves_the_cluster_takes_its_pods_away(spec: dict[str, Any]) -> None:
    world = World()
    world.apply(replicas=2, lora=LORA)
    await world.run()
    world.cluster.create(world.kind.resource, {**body(), "spec": spec})
    await world.run()
    assert {resource for resource, _, _ in world.cluster.objects} == {world.kind.resource}
    assert world.reason("Ready") == "Ready"
