"""The operator as it is installed: its own process, every kind, and the rights of its role."""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import yaml

from sluice_api.objects.adapter_experiment import AdapterExperiment
from sluice_api.objects.guardrail_policy import GuardrailPolicy
from sluice_api.objects.lora_adapter import LoRAAdapter
from sluice_api.objects.model_server import ModelServer
from sluice_api.objects.pipeline import Pipeline
from sluice_operator.cluster.kube import KubeCluster
from sluice_operator.cluster.protocol import Manifest
from sluice_operator.cluster.resources import resource_of
from support import crds
from support.accounts import Account, service_account
from support.api_server import ApiServer
from support.gateways import free_port
from support.model_servers import body
from support.operator_process import operator_process
from support.probes import fetch
from support.waiting import until

pytestmark = pytest.mark.needs("cluster")

ROOT = Path(__file__).parents[2]
TOLD = (ModelServer, LoRAAdapter, AdapterExperiment, GuardrailPolicy, Pipeline)


@pytest.fixture
def account(server: ApiServer, namespace: str, tmp_path: Path) -> Account:
    """The operator's, with its role in this namespace alone."""
    role = yaml.safe_load((ROOT / "operator" / "deploy" / "cluster-role.yaml").read_text())
    role |= {"kind": "Role", "metadata": {"name": "operator", "namespace": namespace}}
    server.kubectl("apply", "-f", "-", stdin=json.dumps(role))
    made = service_account(server, namespace, "operator", tmp_path)
    server.kubectl(
        "create", "rolebinding", "operator", "-n", namespace, "--role=operator", f"--user={made.user}"
    )
    return made


@pytest.fixture
async def objects(server: ApiServer, namespace: str) -> AsyncIterator[None]:
    crds.install(server)
    example = [str(path) for path in sorted((ROOT / "examples" / "experiment").glob("*.yaml"))]
    await asyncio.to_thread(
        server.kubectl, "apply", "-n", namespace, *(f"--filename={path}" for path in example)
    )
    lora = {"maxLoras": 2, "maxCpuLoras": 8, "maxLoraRank": 16}
    scaled = body(
        "scaled",
        namespace,
        autoscaling={"minReplicas": 1, "maxReplicas": 3, "cpu": {}},
        resources={"requests": {"cpu": "4000m"}},
        lora=lora,
    )
    await asyncio.to_thread(server.kubectl, "apply", "-f", "-", stdin=json.dumps(scaled))
    yield
    everything = ",".join(model.PLURAL for model in TOLD)
    command = '{"metadata": {"finalizers": null}}'
    for name in server.kubectl("get", everything, "-n", namespace, "-o", "name", check=False).split():
        server.kubectl("patch", name, "-n", namespace, "--type=merge", "-p", command, check=False)


async def test_every_kind_is_told_of_and_then_there_is_silence(
    server: ApiServer,
    cluster: KubeCluster,
    namespace: str,
    account: Account,
    objects: None,
    tmp_path: Path,
) -> None:
    log, metrics = tmp_path / "log", f"127.0.0.1:{free_port()}"

    async def all_told() -> list[Manifest]:
        found = [each for model in TOLD for each in await cluster.list(resource_of(model), namespace)]
        waiting = [
            f"{each['kind']}/{each['metadata']['name']}"
            for each in found
            if (each.get("status") or {}).get("observedGeneration") != each["metadata"]["generation"]
        ]
        return [] if waiting else found

    def writes() -> list[str]:
        return [
            f"{entry['verb']} {entry['requestURI']}"
            for entry in server.writes("sluice-operator")
            if entry.get("objectRef", {}).get("namespace") == namespace  # type: ignore[attr-defined]
        ]

    async def passes() -> float:
        _, text = await fetch(metrics, "/metrics")
        found = re.findall(r'^sluice_reconcile_passes_total\{.*outcome="done"\} (.*)$', text, re.MULTILINE)
        return sum(map(float, found))

    async with operator_process(
        account.server,
        log,
        namespaces=json.dumps([namespace]),
        own_namespace=namespace,
        metrics_listen=metrics,
        resync_seconds=1,
    ):
        found = await until(all_told)
        assert {each["kind"] for each in found} == {model.KIND for model in TOLD}
        for each in found:
            conditions = {condition["type"]: condition for condition in each["status"]["conditions"]}
            assert "Ready" in conditions
        deployments = server.kubectl(
            "get", "deployment,hpa,pdb,netpol,svc,secret", "-n", namespace, "-o", "name"
        )
        assert len(deployments.split()) >= 6

        # Passes go on each second; what they send comes to an end.
        async def silent() -> bool:
            before, begun = writes(), await passes()

            async def three_rounds() -> bool:
                return await passes() >= begun + 3 * len(found)

            await until(three_rounds)
            return writes() == before

        await until(silent, 120.0)
    told = log.read_text()
    assert "Traceback" not in told
    assert "PermissionDenied" not in told
    assert "forbidden" not in told
