"""Model servers in a running operator, on a real API server with its controllers."""

import asyncio
import base64
import json
from collections.abc import Callable
from typing import Any

import pytest

from sluice_api.objects.model_server import ModelServer
from sluice_operator.assembly import Dependencies
from sluice_operator.cluster.kube import KubeCluster
from sluice_operator.cluster.resources import (
    AUTOSCALERS,
    DEPLOYMENTS,
    DISRUPTION_BUDGETS,
    NETWORK_POLICIES,
    PODS,
    SECRETS,
    SERVICES,
    Resource,
    resource_of,
)
from sluice_operator.kinds.model_server.kind import ModelServerKind
from sluice_operator.reconciling.kind import Kind
from support.api_server import ApiServer
from support.crds import install
from support.model_servers import SETTINGS, StubAgents, body
from support.operator_process import running_operator
from support.waiting import until

pytestmark = pytest.mark.needs("cluster")

SERVERS = resource_of(ModelServer)
LORA = {"maxLoras": 2, "maxCpuLoras": 8, "maxLoraRank": 16}


@pytest.fixture(scope="session")
def servers(server: ApiServer) -> ApiServer:
    install(server)
    return server


def kinds(dependencies: Dependencies) -> list[Kind[Any, Any]]:
    return [ModelServerKind(dependencies.cluster, dependencies.mirror, StubAgents(), SETTINGS)]


class Run:
    """What a test asks of the API server."""

    def __init__(self, cluster: KubeCluster, server: ApiServer, namespace: str) -> None:
        self.cluster = cluster
        self.server = server
        self.namespace = namespace

    async def apply(self, manifest: dict[str, Any]) -> None:
        await asyncio.to_thread(
            self.server.kubectl, "apply", "--server-side", "-f", "-", stdin=json.dumps(manifest)
        )

    async def kubectl(self, *arguments: str) -> str:
        return await asyncio.to_thread(self.server.kubectl, "-n", self.namespace, *arguments)

    async def there(self, resource: Resource, name: str, holds: Callable[[Any], Any] = bool) -> Any:
        async def look() -> Any:
            found = await self.cluster.get(resource, self.namespace, name)
            return found if found is not None and holds(found) else None

        return await until(look, what=f"{resource.kind} {name}")

    async def gone(self, resource: Resource, name: str) -> None:
        async def look() -> bool:
            return await self.cluster.get(resource, self.namespace, name) is None

        await until(look, what=f"the end of {resource.kind} {name}")

    async def condition(self, name: str, type_: str, reason: str) -> dict[str, Any]:
        def of(found: Any) -> dict[str, Any] | None:
            conditions = (found.get("status") or {}).get("conditions") or []
            return next((each for each in conditions if each["type"] == type_), None)

        found = await self.there(SERVERS, name, lambda each: (of(each) or {}).get("reason") == reason)
        condition = of(found)
        assert condition is not None
        return condition

    async def pods(self, number: int) -> list[Any]:
        async def look() -> list[Any]:
            found = await self.cluster.list(PODS, self.namespace)
            staying = [each for each in found if not each["metadata"].get("deletionTimestamp")]
            return staying if len(staying) == number else []

        return await until(look, what=f"{number} pods")

    def sent(self) -> list[str]:
        """What the operator has written about children."""
        return [
            f"{entry['verb']} {entry['requestURI']}"
            for entry in self.server.writes("sluice-operator")
            if entry.get("objectRef", {}).get("namespace") == self.namespace  # type: ignore[attr-defined]
            and "modelservers" not in str(entry["requestURI"])
            and "events" not in str(entry["requestURI"])
        ]

    async def make_ready(self, pod: Any, address: str) -> None:
        """What a kubelet would say once all containers answer."""
        containers = [
            {
                "name": each["name"],
                "image": each["image"],
                "imageID": "",
                "ready": True,
                "started": True,
                "restartCount": 0,
                "state": {"running": {"startedAt": "2026-01-01T00:00:00Z"}},
            }
            for each in pod["spec"]["containers"]
        ]
        status = {
            "phase": "Running",
            "podIP": address,
            "podIPs": [{"ip": address}],
            "conditions": [
                {"type": type_, "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z"}
                for type_ in ("PodScheduled", "Initialized", "ContainersReady", "Ready")
            ],
            "containerStatuses": containers,
        }
        await self.kubectl(
            "patch", "pod", pod["metadata"]["name"], "--subresource=status", "--type=merge",
            "-p", json.dumps({"status": status}),
        )  # fmt: skip


@pytest.fixture
def run(cluster: KubeCluster, servers: ApiServer, namespace: str) -> Run:
    return Run(cluster, servers, namespace)


async def test_a_server_has_its_children_and_tells_where_its_ready_pods_are(run: Run) -> None:
    spec = {"replicas": 2, "lora": LORA, "agent": {"volumeSize": "1Gi"}}
    async with running_operator(run.server, kinds, run.namespace):
        await run.apply(body("llama", run.namespace, **spec))
        for resource in (SERVICES, NETWORK_POLICIES, DISRUPTION_BUDGETS, DEPLOYMENTS):
            child = await run.there(resource, "llama")
            assert child["metadata"]["ownerReferences"][0]["kind"] == "ModelServer"
        secret = await run.there(SECRETS, "llama-adapter-agent")
        assert len(base64.b64decode(secret["data"]["token"])) >= 32

        first, second = await run.pods(2)
        assert [each["name"] for each in first["spec"]["containers"]] == ["vllm", "adapter-agent"]
        await run.condition("llama", "Available", "Starting")
        await run.make_ready(first, "10.1.0.1")
        found = await run.there(SERVERS, "llama", lambda each: each["status"].get("ready") == "1/2")
        assert [each["url"] for each in found["status"]["endpoints"]] == ["http://10.1.0.1:8000/v1"]
        await run.condition("llama", "RolledOut", "RollingOut")
        await run.make_ready(second, "10.1.0.2")
        await run.condition("llama", "RolledOut", "RolledOut")
        await run.condition("llama", "Ready", "Ready")

        adapter = {
            "apiVersion": "sluice.dev/v1alpha1",
            "kind": "LoRAAdapter",
            "metadata": {"name": "support", "namespace": run.namespace},
            "spec": {
                "modelServerRef": "llama",
                "modelName": "support",
                "revision": "1",
                "source": {"local": {"path": "/srv/support"}},
            },
        }
        await run.apply(adapter)
        loaded = {
            "podUid": first["metadata"]["uid"],
            "state": "Loaded",
            "engineName": "support--1",
            "restartCount": 0,
        }
        status = {"engineName": "support--1", "pods": [loaded]}
        await run.kubectl(
            "patch",
            "lora",
            "support",
            "--subresource=status",
            "--type=merge",
            "-p",
            json.dumps({"status": status}),
        )
        where = {first["metadata"]["name"]: ["support--1"], second["metadata"]["name"]: []}
        await run.there(
            SERVERS,
            "llama",
            lambda each: where == {e["name"]: e["adapters"] for e in each["status"]["endpoints"]},
        )

        scale = json.loads(await run.kubectl("get", "msrv", "llama", "--subresource=scale", "-o", "json"))
        assert scale["status"]["replicas"] == 2
        assert "sluice.dev/model-server=llama" in scale["status"]["selector"]
        await run.kubectl("scale", "msrv", "llama", "--replicas=1")
        await run.there(DEPLOYMENTS, "llama", lambda each: each["spec"]["replicas"] == 1)
        await run.gone(DISRUPTION_BUDGETS, "llama")

        await run.kubectl("delete", "service", "llama")
        await run.there(SERVICES, "llama", lambda each: not each["metadata"].get("deletionTimestamp"))
        token = secret["data"]["token"]
        assert (await run.there(SECRETS, "llama-adapter-agent"))["data"]["token"] == token

        await run.kubectl("delete", "msrv", "llama", "--wait=false")
        for resource in (DEPLOYMENTS, SERVICES, NETWORK_POLICIES):
            await run.gone(resource, "llama")
        await run.gone(SECRETS, "llama-adapter-agent")


async def test_a_changed_spec_rolls_and_an_autoscaler_takes_the_number_over(run: Run) -> None:
    async with running_operator(run.server, kinds, run.namespace):
        await run.apply(body("llama", run.namespace, replicas=3, gpu=0, resources={"requests": {"cpu": "1"}}))
        before = await run.there(DEPLOYMENTS, "llama")
        await run.pods(3)
        scaling = {"minReplicas": 2, "maxReplicas": 4, "cpu": {"utilization": 50}}
        await run.apply(
            body(
                "llama",
                run.namespace,
                gpu=0,
                resources={"requests": {"cpu": "1"}},
                maxModelLen=4096,
                autoscaling=scaling,
            )
        )
        autoscaler = await run.there(AUTOSCALERS, "llama")
        assert autoscaler["spec"]["metrics"][0]["containerResource"]["container"] == "vllm"
        rolled = await run.there(
            DEPLOYMENTS,
            "llama",
            lambda each: "--max-model-len=4096" in each["spec"]["template"]["spec"]["containers"][0]["args"],
        )
        assert rolled["spec"]["replicas"] == 3
        assert rolled["metadata"]["uid"] == before["metadata"]["uid"]

        # What the HPA does.
        await run.kubectl("scale", "deployment", "llama", "--replicas=4")
        await run.kubectl("annotate", "msrv", "llama", "wake=up")
        await run.apply(
            body(
                "llama",
                run.namespace,
                gpu=0,
                resources={"requests": {"cpu": "1"}},
                maxModelLen=2048,
                autoscaling=scaling,
            )
        )
        rolled = await run.there(
            DEPLOYMENTS,
            "llama",
            lambda each: "--max-model-len=2048" in each["spec"]["template"]["spec"]["containers"][0]["args"],
        )
        assert rolled["spec"]["replicas"] == 4


async def test_what_belongs_to_others_is_left_alone_and_said(run: Run) -> None:
    foreign = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "llama", "namespace": run.namespace},
        "spec": {
            "replicas": 0,
            "selector": {"matchLabels": {"app": "theirs"}},
            "template": {
                "metadata": {"labels": {"app": "theirs"}},
                "spec": {"containers": [{"name": "theirs", "image": "theirs"}]},
            },
        },
    }
    await run.apply(foreign)
    async with running_operator(run.server, kinds, run.namespace):
        await run.apply(body("llama", run.namespace))
        told = await run.condition("llama", "Configured", "NameTaken")
        assert "Deployment 'llama'" in told["message"]
        await run.there(SERVICES, "llama")
        kept = await run.there(DEPLOYMENTS, "llama")
        assert kept["spec"]["template"]["spec"]["containers"][0]["name"] == "theirs"
        assert "ownerReferences" not in kept["metadata"]


async def test_secrets_wake_a_server_and_a_bad_template_leaves_the_pods_as_they_are(run: Run) -> None:
    async with running_operator(run.server, kinds, run.namespace):
        await run.apply(body("llama", run.namespace, apiKeySecret="key"))
        told = await run.condition("llama", "Configured", "SecretMissing")
        assert "'key'" in told["message"]
        await run.kubectl("create", "secret", "generic", "key", "--from-literal=api-key=one")
        first = await run.there(DEPLOYMENTS, "llama")
        await run.condition("llama", "Configured", "Configured")

        def digest(found: Any) -> str:
            return str(found["spec"]["template"]["metadata"]["annotations"]["sluice.dev/secrets-digest"])

        patch = {"stringData": {"api-key": "two"}}
        await run.kubectl("patch", "secret", "key", "-p", json.dumps(patch))
        second = await run.there(DEPLOYMENTS, "llama", lambda each: digest(each) != digest(first))

        bad = {"spec": {"containers": [{"name": "vllm", "$patch": "delete"}]}}
        await run.apply(body("llama", run.namespace, apiKeySecret="key", podTemplate=bad))
        told = await run.condition("llama", "Configured", "PodTemplateInvalid")
        assert "container 'vllm' is missing" in told["message"]
        kept = await run.there(DEPLOYMENTS, "llama")
        assert kept["spec"]["template"] == second["spec"]["template"]

        unknown = {"spec": {"containers": [{"name": "vllm", "imagePullPolcy": "Always"}]}}
        await run.apply(body("llama", run.namespace, apiKeySecret="key", podTemplate=unknown))
        told = await run.condition("llama", "Stalled", "Refused")
        assert "imagePullPolcy" in told["message"]


async def test_what_is_as_the_spec_says_is_not_sent_again(run: Run) -> None:
    spec = {
        "replicas": 2,
        "gpu": 2,
        "lora": LORA,
        "resources": {"requests": {"cpu": "0.5", "memory": "1024Mi"}, "limits": {"memory": "2000Mi"}},
        "sharedMemory": "1024Mi",
        "weights": {"claimName": "models", "path": "llama"},
        "cache": {"sizeLimit": "0.5Gi"},
        "env": [
            {"name": "EMPTY", "value": ""},
            {"name": "KEY", "valueFrom": {"secretKeyRef": {"name": "key", "key": "api-key"}}},
        ],
        "apiKeySecret": "key",
        "agent": {"claims": ["a", "b"], "sourceSecrets": {"huggingFace": "key"}, "volumeSize": "1.5Gi"},
        "imagePullSecrets": ["pull"],
        "serviceAccountName": "models",
        "allowFrom": [{"podLabels": {"app": "prometheus"}}],
        "podTemplate": {
            "metadata": {"annotations": {"note": "ours"}},
            "spec": {
                "nodeSelector": {"gpu": "a100"},
                "tolerations": [{"key": "gpu", "operator": "Exists"}],
                "topologySpreadConstraints": None,
                "containers": [
                    {"name": "proxy", "image": "envoy", "resources": {"limits": {"cpu": "1000m"}}}
                ],
                "initContainers": [{"name": "first", "image": "busybox"}],
            },
        },
    }
    literals = ("--from-literal=api-key=a", "--from-literal=token=b")
    await run.kubectl("create", "secret", "generic", "key", *literals)
    server = body("llama", run.namespace, **spec)
    async with running_operator(run.server, kinds, run.namespace):
        await run.apply(server)
        await run.condition("llama", "Configured", "Configured")
        deployment = await run.there(DEPLOYMENTS, "llama")

        async def settled() -> list[str]:
            before = run.sent()
            generation = json.loads(await run.kubectl("get", "msrv", "llama", "-o", "json"))["metadata"][
                "generation"
            ]
            await run.apply({**server, "spec": {**server["spec"], "routing": {"maxQueued": generation}}})
            told = lambda each: each["status"].get("observedGeneration") == generation + 1  # noqa: E731
            await run.there(SERVERS, "llama", told)
            return before if run.sent() == before else []

        sent = await until(settled)
        assert sum("deployments" in each for each in sent) <= 2
        kept = await run.there(DEPLOYMENTS, "llama")
        assert kept["metadata"]["generation"] == deployment["metadata"]["generation"]


async def test_a_queue_needs_keda(run: Run) -> None:
    scaling = {"minReplicas": 2, "maxReplicas": 4, "queue": {"prometheus": "http://prometheus:9090"}}
    async with running_operator(run.server, kinds, run.namespace):
        await run.apply(body("llama", run.namespace, autoscaling=scaling))
        await run.condition("llama", "Autoscaled", "KedaMissing")
        found = await run.there(DEPLOYMENTS, "llama")
        assert found["spec"]["replicas"] == 2
