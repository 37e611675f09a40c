"""What the operator's port promises, on a real API server and on the fake that unit tests use: the same cases."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol

import pytest

from sluice_operator.cluster.protocol import Cluster
from sluice_operator.cluster.resources import CONFIG_MAPS, DEPLOYMENTS, SERVICES, Resource
from sluice_servicekit import errors
from support.api_server import ApiServer
from support.fake_cluster import FakeCluster

TOYS = Resource("tests.sluice.dev", "v1", "toys", "Toy")
NOT_INSTALLED = Resource("nobody.sluice.dev", "v1", "nobodies", "Nobody")

_ANYTHING = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
_CONDITIONS = {
    "type": "array",
    "x-kubernetes-list-type": "map",
    "x-kubernetes-list-map-keys": ["type"],
    "items": {
        "type": "object",
        "required": ["type"],
        "properties": {"type": {"type": "string"}, "status": {"type": "string"}},
    },
}
_DEFINITION = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "toys.tests.sluice.dev"},
    "spec": {
        "group": "tests.sluice.dev",
        "scope": "Namespaced",
        "names": {"kind": "Toy", "plural": "toys", "singular": "toy"},
        "versions": [
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "subresources": {"status": {}},
                "schema": {
                    "openAPIV3Schema": {
                        "type": "object",
                        "properties": {
                            "spec": _ANYTHING,
                            "status": {"type": "object", "properties": {"conditions": _CONDITIONS}}
                            | {"x-kubernetes-preserve-unknown-fields": True},
                        },
                    }
                },
            }
        ],
    },
}


class World(Protocol):
    """A cluster, and others who write to it."""

    cluster: Cluster
    namespace: str

    async def edit(self, resource: Resource, name: str, patch: Mapping[str, Any], part: str = "") -> None:
        """A merge patch by another writer."""

    async def remove(self, resource: Resource, name: str) -> None:
        """Another's deletion."""


class Fake:
    """The fake."""

    namespace = "test"

    def __init__(self) -> None:
        self.fake = FakeCluster(namespaces={"test"}, missing={NOT_INSTALLED})
        self.cluster: Cluster = self.fake

    async def edit(self, resource: Resource, name: str, patch: Mapping[str, Any], part: str = "") -> None:
        self.fake.edit(resource, self.namespace, name, patch)

    async def remove(self, resource: Resource, name: str) -> None:
        self.fake.remove(resource, self.namespace, name)


class Real:
    """A real API server."""

    def __init__(self, server: ApiServer, cluster: Cluster, namespace: str) -> None:
        self._server = server
        self.cluster = cluster
        self.namespace = namespace

    async def edit(self, resource: Resource, name: str, patch: Mapping[str, Any], part: str = "") -> None:
        await self._kubectl(
            *("patch", _argument(resource), name, "--type=merge", f"--patch={json.dumps(patch)}"),
            *([f"--subresource={part}"] if part else []),
        )

    async def remove(self, resource: Resource, name: str) -> None:
        await self._kubectl("delete", _argument(resource), name, "--wait=false")

    async def _kubectl(self, *arguments: str) -> None:
        await asyncio.to_thread(self._server.kubectl, "--namespace", self.namespace, *arguments)


def _argument(resource: Resource) -> str:
    return f"{resource.plural}.{resource.version}.{resource.group}" if resource.group else resource.plural


@pytest.fixture(scope="module")
def definition(request: pytest.FixtureRequest) -> ApiServer:
    server: ApiServer = request.getfixturevalue("server")
    server.kubectl("apply", "-f", "-", stdin=json.dumps(_DEFINITION))
    server.kubectl("wait", "--for=condition=Established", "crd/toys.tests.sluice.dev", "--timeout=60s")
    return server


@pytest.fixture
def fake() -> World:
    return Fake()


@pytest.fixture
async def real(definition: ApiServer, cluster: Cluster, namespace: str) -> World:
    world = Real(definition, cluster, namespace)
    await _until(lambda: _served(world))
    return world


async def _served(world: World) -> bool:
    try:
        await world.cluster.list(TOYS, world.namespace)
    except errors.ServiceError:
        return False
    return True


@pytest.fixture(params=["fake", pytest.param("real", marks=pytest.mark.needs("cluster"))])
def world(request: pytest.FixtureRequest) -> World:
    found: World = request.getfixturevalue(request.param)
    return found


async def _until(holds: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(60):
        while not await holds():  # noqa: ASYNC110 - nothing tells us
            await asyncio.sleep(0.05)


async def _found(world: World, resource: Resource, name: str) -> dict[str, Any]:
    found = await world.cluster.get(resource, world.namespace, name)
    assert found is not None
    return dict(found)


def _map(world: World, data: Mapping[str, str], **metadata: Any) -> dict[str, Any]:
    metadata = {"name": "a", "namespace": world.namespace, **metadata}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": dict(data)}


def _toy(world: World, **parts: Any) -> dict[str, Any]:
    metadata = {"name": "a", "namespace": world.namespace, **parts.pop("metadata", {})}
    return {"apiVersion": TOYS.api_version, "kind": "Toy", "metadata": metadata, **parts}


def _deployment(world: World, containers: list[dict[str, Any]], **spec: Any) -> dict[str, Any]:
    labels = {"app": "a"}
    template = {"metadata": {"labels": labels}, "spec": {"containers": containers}}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "a", "namespace": world.namespace},
        "spec": {"selector": {"matchLabels": labels}, "template": template, **spec},
    }


async def test_a_field_that_is_no_longer_applied_goes_and_those_of_others_stay(world: World) -> None:
    await world.cluster.apply(CONFIG_MAPS, _map(world, {"x": "1", "y": "1"}, labels={"of": "a", "to": "b"}))
    await world.edit(CONFIG_MAPS, "a", {"data": {"z": "others"}, "metadata": {"labels": {"by": "c"}}})

    await world.cluster.apply(CONFIG_MAPS, _map(world, {"y": "2"}, labels={"of": "a"}))

    found = await _found(world, CONFIG_MAPS, "a")
    assert found["data"] == {"y": "2", "z": "others"}
    assert found["metadata"]["labels"] == {"of": "a", "by": "c"}


async def test_what_another_has_changed_is_taken_back(world: World) -> None:
    await world.cluster.apply(CONFIG_MAPS, _map(world, {"x": "1"}))
    await world.edit(CONFIG_MAPS, "a", {"data": {"x": "others"}})

    await world.cluster.apply(CONFIG_MAPS, _map(world, {"x": "1"}))

    assert (await _found(world, CONFIG_MAPS, "a"))["data"] == {"x": "1"}


async def test_a_field_that_another_has_taken_is_not_removed(world: World) -> None:
    await world.cluster.apply(CONFIG_MAPS, _map(world, {"x": "1", "y": "1"}))
    await world.edit(CONFIG_MAPS, "a", {"data": {"x": "others"}})

    await world.cluster.apply(CONFIG_MAPS, _map(world, {"y": "1"}))

    assert (await _found(world, CONFIG_MAPS, "a"))["data"] == {"x": "others", "y": "1"}


async def test_applying_the_same_again_changes_nothing(world: World) -> None:
    first = await world.cluster.apply(TOYS, _toy(world, spec={"size": 1}))
    second = await world.cluster.apply(TOYS, _toy(world, spec={"size": 1}))

    assert second["metadata"]["resourceVersion"] == first["metadata"]["resourceVersion"]


async def test_the_generation_counts_changes_of_the_spec(world: World) -> None:
    generations = []
    for part in ({"spec": {"size": 1}}, {"spec": {"size": 1}, "metadata": {"labels": {"of": "a"}}}):
        applied = await world.cluster.apply(TOYS, _toy(world, **part))
        generations.append(applied["metadata"]["generation"])
    status = await world.cluster.apply_status(TOYS, _toy(world, status={"seen": 1}))
    edited = await world.cluster.apply(TOYS, _toy(world, spec={"size": 2}))

    assert [*generations, status["metadata"]["generation"], edited["metadata"]["generation"]] == [1, 1, 1, 2]


async def test_status_and_spec_are_written_apart(world: World) -> None:
    await world.cluster.apply(TOYS, _toy(world, spec={"size": 1}, status={"seen": 1}))
    assert "status" not in await _found(world, TOYS, "a")

    await world.cluster.apply_status(TOYS, _toy(world, spec={"size": 2}, status={"seen": 2}))
    await world.cluster.apply(TOYS, _toy(world, spec={"size": 3}))

    found = await _found(world, TOYS, "a")
    assert found["spec"] == {"size": 3}
    assert found["status"] == {"seen": 2}


async def test_conditions_are_merged_by_type(world: World) -> None:
    await world.cluster.apply(TOYS, _toy(world, spec={"size": 1}))
    ours = [{"type": "Ready", "status": "True"}, {"type": "Old", "status": "True"}]
    await world.cluster.apply_status(TOYS, _toy(world, status={"conditions": ours}))
    theirs = [*ours, {"type": "Theirs", "status": "True"}]
    await world.edit(TOYS, "a", {"status": {"conditions": theirs}}, part="status")

    ours = [{"type": "Ready", "status": "False"}]
    await world.cluster.apply_status(TOYS, _toy(world, status={"conditions": ours}))

    conditions = (await _found(world, TOYS, "a"))["status"]["conditions"]
    assert {each["type"]: each["status"] for each in conditions} == {"Ready": "False", "Theirs": "True"}


async def test_a_map_of_which_nothing_is_left(world: World) -> None:
    await world.cluster.apply(TOYS, _toy(world, spec={"size": 1, "parts": {"arm": {"length": 1}}}))

    applied = await world.cluster.apply(TOYS, _toy(world, spec={"size": 1}))

    assert applied["spec"]["size"] == 1
    assert not (applied["spec"].get("parts") or {}).get("arm")


async def test_containers_and_ports_are_merged_by_their_keys(world: World) -> None:
    port = {"containerPort": 80, "name": "http"}
    await world.cluster.apply(
        DEPLOYMENTS, _deployment(world, [{"name": "a", "image": "a:1", "ports": [port]}])
    )
    injected = {"name": "injected", "image": "b:1"}
    now = (await _found(world, DEPLOYMENTS, "a"))["spec"]["template"]["spec"]["containers"]
    patch = {"spec": {"template": {"spec": {"containers": [*now, injected]}}}}
    await world.edit(DEPLOYMENTS, "a", patch)

    renamed = {"containerPort": 80, "name": "web"}
    await world.cluster.apply(
        DEPLOYMENTS, _deployment(world, [{"name": "a", "image": "a:2", "ports": [renamed]}])
    )

    found = (await _found(world, DEPLOYMENTS, "a"))["spec"]["template"]["spec"]["containers"]
    assert {each["name"]: each["image"] for each in found} == {"a": "a:2", "injected": "b:1"}
    assert [(each["containerPort"], each["name"]) for each in found[0]["ports"]] == [(80, "web")]


async def test_replicas_that_are_not_applied_belong_to_an_autoscaler(world: World) -> None:
    containers = [{"name": "a", "image": "a:1"}]
    await world.cluster.apply(DEPLOYMENTS, _deployment(world, containers))
    await world.edit(DEPLOYMENTS, "a", {"spec": {"replicas": 5}})

    await world.cluster.apply(DEPLOYMENTS, _deployment(world, [{"name": "a", "image": "a:2"}]))

    assert (await _found(world, DEPLOYMENTS, "a"))["spec"]["replicas"] == 5


async def test_replicas_that_are_applied_no_more_stay_where_an_autoscaler_has_set_them(world: World) -> None:
    containers = [{"name": "a", "image": "a:1"}]
    await world.cluster.apply(DEPLOYMENTS, _deployment(world, containers, replicas=2))
    await world.edit(DEPLOYMENTS, "a", {"spec": {"replicas": 5}})

    await world.cluster.apply(DEPLOYMENTS, _deployment(world, containers))

    assert (await _found(world, DEPLOYMENTS, "a"))["spec"]["replicas"] == 5


async def test_a_field_that_cannot_be_changed_is_refused(world: World) -> None:
    manifest = _deployment(world, [{"name": "a", "image": "a:1"}])
    await world.cluster.apply(DEPLOYMENTS, manifest)
    manifest["spec"]["selector"] = {"matchLabels": {"app": "b"}}
    manifest["spec"]["template"]["metadata"]["labels"] = {"app": "b"}

    with pytest.raises(errors.InvalidArgument, match="immutable"):
        await world.cluster.apply(DEPLOYMENTS, manifest)


async def test_a_services_selector_is_replaced_whole(world: World) -> None:
    manifest: dict[str, Any] = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "a", "namespace": world.namespace},
        "spec": {"selector": {"app": "a"}, "ports": [{"port": 80}]},
    }
    await world.cluster.apply(SERVICES, manifest)
    await world.edit(SERVICES, "a", {"spec": {"selector": {"more": "b"}}})

    await world.cluster.apply(SERVICES, manifest)

    assert (await _found(world, SERVICES, "a"))["spec"]["selector"] == {"app": "a"}


async def test_an_older_version_is_a_conflict(world: World) -> None:
    first = await world.cluster.apply(CONFIG_MAPS, _map(world, {"x": "1"}))
    await world.edit(CONFIG_MAPS, "a", {"data": {"y": "1"}})
    version = first["metadata"]["resourceVersion"]

    with pytest.raises(errors.Conflict):
        await world.cluster.apply(CONFIG_MAPS, _map(world, {"x": "2"}, resourceVersion=version))

    now = (await _found(world, CONFIG_MAPS, "a"))["metadata"]["resourceVersion"]
    applied = await world.cluster.apply(CONFIG_MAPS, _map(world, {"x": "2"}, resourceVersion=now))
    assert applied["data"] == {"x": "2", "y": "1"}


async def test_a_version_does_not_keep_an_object_from_being_made(world: World) -> None:
    applied = await world.cluster.apply(CONFIG_MAPS, _map(world, {"x": "1"}, resourceVersion="1"))

    assert applied["data"] == {"x": "1"}


async def test_anothers_uid_is_refused_but_where_a_status_is_told(world: World) -> None:
    with pytest.raises(errors.Conflict):
        await world.cluster.apply(TOYS, _toy(world, metadata={"uid": "another"}, spec={"size": 1}))
    await world.cluster.apply(TOYS, _toy(world, spec={"size": 1}))
    with pytest.raises(errors.InvalidArgument):
        await world.cluster.apply(TOYS, _toy(world, metadata={"uid": "another"}, spec={"size": 2}))

    told = await world.cluster.apply_status(TOYS, _toy(world, metadata={"uid": "another"}, status={"a": 1}))

    assert told["status"] == {"a": 1}


async def test_a_status_makes_no_object(world: World) -> None:
    with pytest.raises(errors.NotFound):
        await world.cluster.apply_status(TOYS, _toy(world, status={"seen": 1}))


async def test_a_namespace_that_is_not_there(world: World) -> None:
    manifest = _map(world, {"x": "1"}, namespace="nowhere")

    with pytest.raises(errors.NotFound, match="nowhere"):
        await world.cluster.apply(CONFIG_MAPS, manifest)

    assert not await world.cluster.list(CONFIG_MAPS, "nowhere")


async def test_a_resource_that_is_not_installed(world: World) -> None:
    manifest = {
        "apiVersion": NOT_INSTALLED.api_version,
        "kind": NOT_INSTALLED.kind,
        "metadata": {"name": "a", "namespace": world.namespace},
    }
    with pytest.raises(errors.Unimplemented):
        await world.cluster.list(NOT_INSTALLED, world.namespace)
    with pytest.raises(errors.Unimplemented):
        await world.cluster.apply(NOT_INSTALLED, manifest)


async def test_labels_select(world: World) -> None:
    for name, labels in {"a": {"x": "1", "y": "1"}, "b": {"x": "1"}, "c": {}}.items():
        await world.cluster.apply(CONFIG_MAPS, _map(world, {}, name=name, labels=labels))

    async def names(labels: Mapping[str, str]) -> list[str]:
        found = await world.cluster.list(CONFIG_MAPS, world.namespace, labels)
        assert all(each["kind"] == "ConfigMap" for each in found)
        return [each["metadata"]["name"] for each in found]

    assert await names({"x": "1"}) == ["a", "b"]
    assert await names({"x": "1", "y": "1"}) == ["a"]
    assert await names({"x": "2"}) == []


async def test_a_finalizer_holds_what_is_deleted(world: World) -> None:
    first = await world.cluster.apply(TOYS, _toy(world, spec={"size": 1}))
    await world.edit(TOYS, "a", {"metadata": {"finalizers": ["sluice.dev/a"]}})
    await world.cluster.delete(TOYS, world.namespace, "a")

    leaving = await _found(world, TOYS, "a")
    assert leaving["metadata"]["deletionTimestamp"]
    assert leaving["metadata"]["generation"] == first["metadata"]["generation"] + 1
    told = await world.cluster.apply_status(TOYS, _toy(world, status={"seen": 1}))
    assert told["metadata"]["deletionTimestamp"] == leaving["metadata"]["deletionTimestamp"]
    await world.edit(TOYS, "a", {"metadata": {"finalizers": []}})
    assert await world.cluster.get(TOYS, world.namespace, "a") is None


async def test_what_is_made_anew_has_another_uid(world: World) -> None:
    first = await world.cluster.apply(CONFIG_MAPS, _map(world, {"x": "1"}))
    await world.remove(CONFIG_MAPS, "a")
    second = await world.cluster.apply(CONFIG_MAPS, _map(world, {"x": "1"}))
    await world.cluster.delete(CONFIG_MAPS, world.namespace, "a", uid=first["metadata"]["uid"])

    assert second["metadata"]["uid"] != first["metadata"]["uid"]
    assert await world.cluster.get(CONFIG_MAPS, world.namespace, "a") is not None


async def test_what_is_owned_goes_with_its_owner(world: World) -> None:
    owner = await world.cluster.apply(TOYS, _toy(world, spec={"size": 1}))
    reference = {
        "apiVersion": TOYS.api_version,
        "kind": "Toy",
        "name": "a",
        "uid": owner["metadata"]["uid"],
        "controller": True,
        "blockOwnerDeletion": True,
    }
    await world.cluster.apply(CONFIG_MAPS, _map(world, {"x": "1"}, ownerReferences=[reference]))
    await world.cluster.delete(TOYS, world.namespace, "a")

    async def gone() -> bool:
        return await world.cluster.get(CONFIG_MAPS, world.namespace, "a") is None

    await _until(gone)


async def test_a_status_that_is_no_longer_told_goes(world: World) -> None:
    await world.cluster.apply(TOYS, _toy(world, spec={"size": 1}))
    await world.cluster.apply_status(TOYS, _toy(world, status={"seen": 1, "pods": [{"name": "a"}]}))

    await world.cluster.apply_status(TOYS, _toy(world, status={"seen": 2}))

    assert (await _found(world, TOYS, "a"))["status"] == {"seen": 2}
