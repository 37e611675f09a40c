"""A model server's children, whatever others do to them: they come back, and what is others' stays."""

import asyncio
import json
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from sluice_api.objects.model_server import ModelServer
from sluice_operator.cluster.resources import DEPLOYMENTS, SCALED_OBJECTS, SERVICES, resource_of
from sluice_operator.kinds.model_server import names
from sluice_operator.kinds.model_server.kind import ModelServerKind
from sluice_operator.reconciling.comparing import APPLIED
from support.fake_cluster import FakeCluster, Key
from support.fake_cluster.faults import PASSING
from support.machines import bounded
from support.model_servers import SETTINGS, StubAgents, body
from support.operated import Operated

NAMESPACE, NAME = "default", "llama"
CHILD = names.child(NAME)
MODEL_SERVERS = resource_of(ModelServer)

#: Of which each run of a machine takes some.
SPECS: tuple[dict[str, Any], ...] = (
    {"replicas": 1},
    {"replicas": 3, "lora": {"maxLoras": 2, "maxCpuLoras": 4}},
    {"replicas": 2, "image": "vllm/vllm-openai:v0.33.0", "gpu": 0},
    {
        "autoscaling": {"minReplicas": 1, "maxReplicas": 4, "cpu": {"utilization": 80}},
        "resources": {"requests": {"cpu": "1"}},
    },
    {"replicas": 0},
)
specs = st.sampled_from(SPECS)
index = st.integers(0, 9)
ahead = st.integers(0, 8)


class Servers(RuleBasedStateMachine):
    """One model server and its children."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.cluster = FakeCluster(missing={SCALED_OBJECTS})
        self.operated = _operated(self.cluster)
        self.foreign: dict[Key, dict[str, Any]] = {}
        self.replicas: int | None = None

    def teardown(self) -> None:
        try:
            self.calm_down()
        finally:
            self.runner.close()

    @rule(spec=specs)
    def write(self, spec: dict[str, Any]) -> None:
        found = self._server()
        made = body(NAME, NAMESPACE, **spec)
        if found is not None:
            made["metadata"]["finalizers"] = found["metadata"].get("finalizers") or []
        if found is None or "deletionTimestamp" not in found["metadata"]:
            self.cluster.create(MODEL_SERVERS, made)

    @rule()
    def delete(self) -> None:
        self.cluster.remove(MODEL_SERVERS, NAMESPACE, NAME)

    @rule(resource=st.sampled_from([SERVICES, DEPLOYMENTS]))
    def take_a_name(self, resource: Any) -> None:
        key = (resource, NAMESPACE, CHILD)
        if key not in self.cluster.objects:
            metadata = {"name": CHILD, "namespace": NAMESPACE, "labels": {"whose": "theirs"}}
            made = {"apiVersion": resource.api_version, "kind": resource.kind, "metadata": metadata}
            self.foreign[key] = dict(self.cluster.create(resource, made | {"spec": {"selector": {"a": "b"}}}))

    @rule()
    def give_names_back(self) -> None:
        for key in list(self.foreign):
            del self.foreign[key]
            self.cluster.remove(*key)

    @rule(index=index)
    def delete_a_child(self, index: int) -> None:
        if key := self._child(index):
            self.cluster.remove(*key)

    @rule(index=index)
    def take_the_labels_off_a_child(self, index: int) -> None:
        if key := self._child(index):
            labels = dict.fromkeys(self.cluster.objects[key]["metadata"]["labels"])
            self.cluster.edit(*key, {"metadata": {"labels": labels}})

    @rule(index=index)
    def annotate_a_child(self, index: int) -> None:
        if key := self._child(index):
            self.cluster.edit(*key, {"metadata": {"annotations": {"theirs": "1"}}})

    @rule()
    def point_the_service_elsewhere(self) -> None:
        if (SERVICES, NAMESPACE, CHILD) in self._children():
            self.cluster.edit(SERVICES, NAMESPACE, CHILD, {"spec": {"selector": {"app": "theirs"}}})

    @rule()
    def change_the_pods(self) -> None:
        key = (DEPLOYMENTS, NAMESPACE, CHILD)
        if key in self._children():
            template = {"spec": {"terminationGracePeriodSeconds": 1, "nodeName": "theirs"}}
            self.cluster.edit(*key, {"spec": {"template": template}})

    @rule(replicas=st.integers(1, 4))
    def scale(self, replicas: int) -> None:
        """As the autoscaler does, where there is one."""
        server = self._server()
        if (
            server
            and "autoscaling" in server["spec"]["vllm"]
            and (DEPLOYMENTS, NAMESPACE, CHILD) in self._children()
        ):
            self.cluster.edit(
                DEPLOYMENTS, NAMESPACE, CHILD, {"spec": {"replicas": replicas}}, manager="autoscaler"
            )
            self.replicas = replicas

    @rule(ahead=ahead, error=st.sampled_from(PASSING), taken=st.booleans())
    def fail_a_write(self, ahead: int, error: Any, taken: bool) -> None:
        self.operated.faults.fail(ahead, error, taken=taken)

    @rule(ahead=ahead, taken=st.booleans())
    def kill(self, ahead: int, taken: bool) -> None:
        self.operated.faults.kill(ahead, taken=taken)

    @rule()
    def restart(self) -> None:
        self.operated.start()

    @rule(what=st.sampled_from(["lose", "double", "overtake"]), index=index)
    def disturb_the_streams(self, what: str, index: int) -> None:
        getattr(self.operated.streams, what)(index)

    @rule(steps=st.integers(1, 3))
    def live(self, steps: int) -> None:
        for _ in range(steps):
            self.operated.streams.flow()
            self.runner.run(self.operated.step())
            self.operated.advance(1.0)

    @invariant()
    def what_is_others_is_as_they_left_it(self) -> None:
        for key, manifest in self.foreign.items():
            assert self.cluster.objects[key] == manifest

    @rule()
    def calm_down(self) -> None:
        self.runner.run(self.operated.settle())
        server = self._server()
        children = {key for key in self._children() if not self._is_bystander(key)}
        if server is None:
            assert not children
            return
        conditions = {each["type"]: each for each in server["status"]["conditions"]}
        assert server["status"]["observedGeneration"] == server["metadata"]["generation"]
        if self.foreign:
            assert "NameTaken" in {each["reason"] for each in conditions.values()}, conditions
            return
        assert "NameTaken" not in {each["reason"] for each in conditions.values()}, conditions
        reference = self.runner.run(_undisturbed(server["spec"]["vllm"]))
        found = {key: _told(self.cluster.objects[key], server["metadata"]["uid"]) for key in children}
        assert found.keys() == reference.keys()
        for key, manifest in reference.items():
            assert found[key] == manifest
        deployment = self.cluster.objects[DEPLOYMENTS, NAMESPACE, CHILD]
        if "autoscaling" not in server["spec"]["vllm"]:
            assert deployment["spec"]["replicas"] == server["spec"]["vllm"]["replicas"]
            self.replicas = None
        writes = len(self.cluster.writes)
        self.operated.wake_all()
        self.runner.run(self.operated.step())
        assert self.cluster.writes[writes:] == []

    def _server(self) -> dict[str, Any] | None:
        return self.cluster.objects.get((MODEL_SERVERS, NAMESPACE, NAME))

    def _children(self) -> list[Key]:
        others = (*self.foreign, (MODEL_SERVERS, NAMESPACE, NAME))
        return sorted(
            (key for key in self.cluster.objects if key not in others), key=lambda key: (key[0].kind, key[2])
        )

    def _is_bystander(self, key: Key) -> bool:
        return not self.cluster.objects[key]["metadata"].get("ownerReferences")

    def _child(self, index: int) -> Key | None:
        keys = self._children()
        return keys[index % len(keys)] if keys else None


def _operated(cluster: FakeCluster) -> Operated:
    return Operated(
        cluster,
        lambda operated: [
            ModelServerKind(cluster, operated.mirror, StubAgents(), SETTINGS, lambda: operated.now)
        ],
    )


async def _undisturbed(vllm: dict[str, Any]) -> dict[Key, dict[str, Any]]:
    """The children of the same spec where nobody does anything."""
    cluster = FakeCluster(missing={SCALED_OBJECTS})
    operated = _operated(cluster)
    made = cluster.create(MODEL_SERVERS, body(NAME, NAMESPACE, **vllm))
    await operated.settle()
    return {
        key: _told(manifest, made["metadata"]["uid"])
        for key, manifest in cluster.objects.items()
        if key[0] != MODEL_SERVERS
    }


def _told(manifest: dict[str, Any], owner: str) -> dict[str, Any]:
    """Without what is others', or another each time."""
    found: dict[str, Any] = json.loads(json.dumps(manifest).replace(f'"{owner}"', '"OWNER"'))
    metadata = found["metadata"]
    for name in ("uid", "resourceVersion", "generation", "creationTimestamp"):
        metadata.pop(name, None)
    for name in ("theirs", APPLIED):
        metadata.get("annotations", {}).pop(name, None)
    if found["kind"] == "Secret":
        del found["data"]
    if found["kind"] == "Deployment":
        found["spec"].pop("replicas", None)
        found["spec"]["template"]["spec"].pop("nodeName", None)
    return found


TestServers = bounded(Servers, examples=60, steps=25)
