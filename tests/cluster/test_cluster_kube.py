"""The client's edges on a real API server: what its refusals become, how it streams, and what it may do."""

import asyncio
import json
from collections.abc import AsyncIterator, Set
from pathlib import Path
from typing import Any

import pytest

from sluice_operator.cluster.connecting import USER_AGENT, connect
from sluice_operator.cluster.kube import KubeCluster
from sluice_operator.cluster.protocol import Manifest
from sluice_operator.cluster.resources import CONFIG_MAPS, DEPLOYMENTS, SECRETS, Resource
from sluice_operator.cluster.watching import Scope, Watching
from sluice_servicekit import errors
from support.accounts import service_account
from support.api_server import ApiServer
from support.waiting import until

pytestmark = pytest.mark.needs("cluster")

NOWHERE = Resource("nowhere.example", "v1", "things", "Thing")


@pytest.fixture
async def own(server: ApiServer) -> AsyncIterator[KubeCluster]:
    """Connected as the operator's process is."""
    async with connect(str(server.kubeconfig)) as client:
        yield KubeCluster(client)


def config_map(namespace: str, name: str = "a", **more: Any) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": namespace, "labels": {"of": "test"}},
        **more,
    }


async def refusal(call: Any) -> errors.ServiceError:
    with pytest.raises(errors.ServiceError) as caught:
        await call
    return caught.value


async def test_refusals_become_errors_of_ours(own: KubeCluster, namespace: str) -> None:
    typed = await refusal(own.apply(CONFIG_MAPS, config_map(namespace, data=["no", "map"])))
    assert isinstance(typed, errors.InvalidArgument)
    assert "failed to create typed patch object" in typed.message

    deployment = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "a", "namespace": namespace},
        "spec": {"selector": {"matchLabels": {"a": "b"}}, "template": {"metadata": {"labels": {"a": "c"}}}},
    }
    invalid = await refusal(own.apply(DEPLOYMENTS, deployment))
    assert isinstance(invalid, errors.InvalidArgument)
    assert invalid.field.startswith("spec.template")

    assert isinstance(await refusal(own.list(NOWHERE, namespace)), errors.Unimplemented)
    assert isinstance(await refusal(own.get(NOWHERE, namespace, "a")), errors.Unimplemented)
    thing = {**config_map(namespace), "apiVersion": NOWHERE.api_version, "kind": NOWHERE.kind}
    assert isinstance(await refusal(own.apply(NOWHERE, thing)), errors.Unimplemented)

    absent = await refusal(own.apply(CONFIG_MAPS, config_map("no-such-namespace")))
    assert isinstance(absent, errors.NotFound)
    assert "no-such-namespace" in absent.message

    made = await own.apply(CONFIG_MAPS, config_map(namespace))
    stale = config_map(namespace, data={"x": "1"})
    stale["metadata"]["resourceVersion"] = "1"
    assert isinstance(await refusal(own.apply(CONFIG_MAPS, stale)), errors.Conflict)
    assert await own.get(CONFIG_MAPS, namespace, "a") == made


async def test_writes_carry_the_operators_name(server: ApiServer, own: KubeCluster, namespace: str) -> None:
    await own.apply(CONFIG_MAPS, config_map(namespace))

    mine = [entry for entry in server.writes(USER_AGENT) if entry["objectRef"]["namespace"] == namespace]  # type: ignore[index]
    assert [entry["verb"] for entry in mine] == ["patch"]
    assert USER_AGENT.startswith("sluice-operator/")


async def test_one_that_may_nothing_is_told_what_it_may_not(
    server: ApiServer, namespace: str, tmp_path: Path
) -> None:
    account = service_account(server, namespace, "nobody", tmp_path)
    async with connect(str(account.server.kubeconfig)) as client:
        denied = await refusal(KubeCluster(client).list(SECRETS, namespace))
    assert isinstance(denied, errors.PermissionDenied)
    assert 'cannot list resource "secrets"' in denied.message


async def test_a_token_that_nobody_knows_and_a_certificate_of_another(
    server: ApiServer, namespace: str, tmp_path: Path
) -> None:
    config = json.loads(server.kubeconfig.read_text())
    config["users"][0]["user"] = {"token": "wrong"}
    unknown = tmp_path / "unknown"
    unknown.write_text(json.dumps(config))
    async with connect(str(unknown)) as client:
        assert isinstance(await refusal(KubeCluster(client).list(SECRETS, namespace)), errors.Unauthenticated)

    del config["clusters"][0]["cluster"]["certificate-authority"]
    stranger = tmp_path / "stranger"
    stranger.write_text(json.dumps(config))
    async with connect(str(stranger)) as client:
        untrusted = await refusal(KubeCluster(client).list(SECRETS, namespace))
    assert isinstance(untrusted, errors.Unavailable)
    assert "certificate" in untrusted.message.lower()


async def test_there_is_no_way_in_without_a_kubeconfig(tmp_path: Path) -> None:
    with pytest.raises(errors.FailedPrecondition, match="SLUICE_KUBECONFIG"):
        async with connect(str(tmp_path / "none")):
            pass


class Notes:
    """What streams have told."""

    def __init__(self) -> None:
        self.there: dict[str, Manifest] = {}
        self.ended: list[str] = []

    def changed(self, resource: Resource, manifest: Manifest) -> None:
        self.there[manifest["metadata"]["name"]] = manifest

    def gone(self, resource: Resource, uid: str, version: int) -> None:
        name = next(name for name, each in self.there.items() if each["metadata"]["uid"] == uid)
        assert version > int(self.there.pop(name)["metadata"]["resourceVersion"])
        self.ended.append(name)

    def listed(self, scope: Scope, uids: Set[str], version: int) -> None:
        pass


async def test_a_watch_tells_what_is_there_what_comes_and_what_goes(own: KubeCluster, namespace: str) -> None:
    await own.apply(CONFIG_MAPS, config_map(namespace, "before"))
    notes = Notes()
    scopes = [Scope(CONFIG_MAPS, namespace, "of=test"), Scope(NOWHERE, namespace)]
    watching = Watching(own, notes, scopes)
    async with watching.running():
        await asyncio.wait_for(watching.synced(), 60)
        assert list(notes.there) == ["before"]
        await own.apply(CONFIG_MAPS, config_map(namespace, "after", data={"x": "1"}))
        other = config_map(namespace, "other")
        other["metadata"]["labels"] = {"of": "another"}
        await own.apply(CONFIG_MAPS, other)
        await own.delete(CONFIG_MAPS, namespace, "before")

        async def told() -> bool:
            return list(notes.there) == ["after"] and notes.ended == ["before"]

        await until(told)
        assert notes.there["after"]["data"] == {"x": "1"}
        assert watching.silence()[0] < 120


async def test_a_list_is_read_by_pages(
    own: KubeCluster, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sluice_operator.cluster.kube._PAGE", 2)
    for name in "abcde":
        await own.apply(CONFIG_MAPS, config_map(namespace, name))

    found = await own.list(CONFIG_MAPS, namespace, {"of": "test"})

    assert sorted(each["metadata"]["name"] for each in found) == list("abcde")
    assert {each["kind"] for each in found} == {"ConfigMap"}
