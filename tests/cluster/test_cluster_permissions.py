"""The operator with the rights that its role gives, and no other."""

import json
from pathlib import Path

import pytest
import yaml

from sluice_operator.cluster.kube import KubeCluster
from support.accounts import service_account
from support.api_server import ApiServer
from support.operator_process import running_operator
from support.toy_cluster import ToyCluster, condition, install
from support.toys import ToyKind
from support.waiting import until

pytestmark = pytest.mark.needs("cluster")

ROLE = Path(__file__).parents[2] / "operator" / "deploy" / "cluster-role.yaml"


def grant_toys(server: ApiServer, subject: str, *verbs: str) -> None:
    """What the role gives for real kinds, for toys."""
    role = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRole",
        "metadata": {"name": "toys"},
        "rules": [
            {"apiGroups": ["sluice.dev"], "resources": ["toys"], "verbs": list(verbs)},
            {"apiGroups": ["sluice.dev"], "resources": ["toys/status"], "verbs": ["patch"]},
        ],
    }
    server.kubectl("apply", "-f", "-", stdin=json.dumps(role))
    server.kubectl(
        "create", "clusterrolebinding", f"toys-{subject}", "--clusterrole=toys", f"--user={subject}"
    )


async def test_the_role_is_enough_and_what_is_missing_is_named(
    server: ApiServer, cluster: KubeCluster, namespace: str, tmp_path: Path
) -> None:
    install(server)
    role = yaml.safe_load(ROLE.read_text())
    role["metadata"]["name"] = namespace
    server.kubectl("apply", "-f", "-", stdin=json.dumps(role))
    account = service_account(server, namespace, "operator", tmp_path)
    server.kubectl(
        "create", "clusterrolebinding", namespace, f"--clusterrole={namespace}", f"--user={account.user}"
    )
    grant_toys(server, account.user, "get", "list", "watch", "patch")
    toys = ToyCluster(server, cluster, namespace)
    try:
        async with running_operator(
            account.server,
            lambda _: [ToyKind()],
            leader_election=True,
            own_namespace=namespace,
        ):
            await toys.make("a", entries={"x": "1"})
            await toys.wait("a", "Ready", "Made")

            async def told() -> bool:
                return [each["reason"] for each in await toys.events("a")] == ["Made"]

            await until(told)
            await toys.make("a")
            await toys.wait("a", "Ready", "Empty")

            maps = next(rule for rule in role["rules"] if "configmaps" in rule["resources"])
            maps["verbs"] = ["get", "list", "watch"]
            server.kubectl("apply", "-f", "-", stdin=json.dumps(role))

            async def may_not() -> bool:
                asked = await toys.kubectl(
                    "auth", "can-i", "patch", "configmaps", f"--as={account.user}", check=False
                )
                return asked.startswith("no")

            await until(may_not)
            await toys.make("a", entries={"x": "2"})
            stalled = await toys.wait("a", "Stalled", "PermissionDenied")
            assert 'cannot patch resource "configmaps"' in condition(stalled, "Stalled")["message"]
            await toys.kubectl("delete", "toy", "a", "--timeout=60s")
    finally:
        for kind in ("clusterrolebinding", "clusterrole"):
            server.kubectl("delete", kind, namespace, "--ignore-not-found", check=False)
        server.kubectl("delete", "clusterrolebinding", f"toys-{account.user}", check=False)
