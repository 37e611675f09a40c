"""Experiments in a running operator on a real API server, judged by a real gateway that real requests go to."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from sluice_api.compiling import compile_objects
from sluice_api.loading import LoadedObject
from sluice_api.objects.adapter_experiment import AdapterExperiment
from sluice_api.objects.base import SluiceObject
from sluice_api.objects.guardrail_policy import GuardrailPolicy
from sluice_api.objects.knowledge_base import KnowledgeBase
from sluice_api.objects.lora_adapter import LoRAAdapter
from sluice_api.objects.model_server import ModelServer
from sluice_api.objects.pipeline import Pipeline
from sluice_api.snapshot import Snapshot
from sluice_operator.assembly import Dependencies
from sluice_operator.cluster.kube import KubeCluster
from sluice_operator.cluster.resources import MODEL_REWRITES, resource_of
from sluice_operator.kinds.adapter_experiment.kind import AdapterExperiments
from sluice_operator.outcomes.gateway import GatewayOutcomes
from support import crds, inference_extension
from support import experiment_objects as objects
from support.api_server import ApiServer
from support.experimenting_gateway import ExperimentingGateway, experimenting_gateway
from support.operator_process import running_operator
from support.waiting import until

pytestmark = pytest.mark.needs("cluster")

EXPERIMENTS, ADAPTERS = resource_of(AdapterExperiment), resource_of(LoRAAdapter)
KINDS: tuple[type[SluiceObject], ...] = (
    ModelServer,
    LoRAAdapter,
    AdapterExperiment,
    KnowledgeBase,
    GuardrailPolicy,
    Pipeline,
)
ADMIN = "admin-0123456789ab"

Json = dict[str, Any]


@pytest.fixture(scope="session")
def installed(server: ApiServer) -> ApiServer:
    crds.install(server)
    return server


@pytest.fixture
def rewrites(installed: ApiServer) -> Iterator[ApiServer]:
    with inference_extension.installed(installed):
        yield installed


class Namespace:
    """The objects of one test, and what services are given of them."""

    def __init__(self, server: ApiServer, cluster: KubeCluster, name: str) -> None:
        self._server = server
        self._cluster = cluster
        self.name = name

    async def put(self, *manifests: Json) -> None:
        """As a person does, with kubectl."""
        text = json.dumps({"apiVersion": "v1", "kind": "List", "items": manifests})
        command = ("apply", "--server-side", "--field-manager=person", "--force-conflicts", "-f", "-")
        await asyncio.to_thread(self._server.kubectl, *command, stdin=text)

    async def looked_at(self, name: str, engine: str, *, ready: bool = True) -> None:
        """What the operator would say of an adapter, which here has no pods."""
        manifest = objects.adapter(name, self.name)
        del manifest["spec"]
        status = objects.looked_at(engine, ready=ready)
        await self._cluster.apply_status(ADAPTERS, manifest | {"status": status})

    async def snapshot(self) -> Snapshot:
        """Of what is there."""
        found = [
            LoadedObject(kind.model_validate(dict(manifest)), kind.PLURAL, 1)
            for kind in KINDS
            for manifest in await self._cluster.list(resource_of(kind), self.name)
        ]
        return compile_objects(found).snapshot

    async def status_when(self, holds: Callable[[Json], bool], name: str = "trial") -> Json:
        """The experiment's status, once that holds of it."""
        last: Json = {}

        async def so() -> bool:
            found = await self._cluster.get(EXPERIMENTS, self.name, name)
            last.clear()
            last.update((found or {}).get("status") or {})
            return bool(last) and holds(last)

        await until(so, what=f"{last!r}")
        return dict(last)


@pytest.fixture
async def here(installed: ApiServer, cluster: KubeCluster, namespace: str) -> Namespace:
    made = Namespace(installed, cluster, namespace)
    await made.put(
        objects.manifest("KnowledgeBase", "default", {}, namespace),
        objects.manifest("GuardrailPolicy", "default", {"streaming": "window"}, namespace),
        objects.server(namespace=namespace),
        objects.adapter("new", namespace, rollbackWindow="1s"),
        objects.pipeline(namespace=namespace),
    )
    return made


@pytest.fixture
async def gateway(here: Namespace, tmp_path: Path) -> AsyncIterator[ExperimentingGateway]:
    keys = tmp_path / "keys.yaml"
    keys.write_text(f"keys:\n  - {{key: {ADMIN}, tenant: acme, roles: [admin]}}\n")
    keys.chmod(0o600)
    (tmp_path / "key").write_text(ADMIN)
    with experimenting_gateway(tmp_path / "data", await here.snapshot(), api_keys_file=keys) as made:
        yield made


def _kinds(gateway: ExperimentingGateway, folder: Path) -> Callable[[Dependencies], list[Any]]:
    outcomes = GatewayOutcomes(gateway.url, folder / "key")
    return lambda made: [AdapterExperiments(made.cluster, made.mirror, outcomes, made.clock)]


def _reason(status: Json, name: str) -> str:
    found = (each["reason"] for each in status.get("conditions", []) if each["type"] == name)
    return str(next(found, ""))


def _trial(namespace: str, **spec: Any) -> Json:
    return objects.experiment(namespace=namespace, analysisInterval="1s", minSamplesPerArm=60, **spec)


async def test_winner_has_all_traffic_and_a_broken_arm_none(
    here: Namespace, gateway: ExperimentingGateway, installed: ApiServer, cluster: KubeCluster, tmp_path: Path
) -> None:
    bound = {"metric": "errorRate", "aggregation": "rate", "max": 0.3}
    async with running_operator(installed, _kinds(gateway, tmp_path), here.name):
        await here.put(_trial(here.name, guardMetrics=[bound]))
        waiting = await here.status_when(lambda status: _reason(status, "ArmsReady") == "ArmsResting")
        assert waiting["phase"] == "Pending"

        await here.looked_at("new", "new--1")
        unknown = await here.status_when(lambda status: _reason(status, "Analysed") == "ExperimentUnknown")
        assert unknown["phase"] == "Running"  # the gateway does not follow yet

        await gateway.take(await here.snapshot())
        asked = await gateway.ask(200, ADMIN)
        assert min(asked[""], asked["new--1"]) >= 60
        status = await here.status_when(lambda status: status["phase"] == "Succeeded")
        assert (status["promoted"], status["verdict"]["arm"]) == ("new", "new")
        samples = {each["arm"]: each["runs"] for each in status["verdict"]["samples"]}
        assert 60 <= samples["base"] <= asked[""]
        assert 60 <= samples["new"] <= asked["new--1"]
        assert status["observedGeneration"] == 1

        obeyed = await here.snapshot()
        assert obeyed.experiments["trial"].promoted == "new"
        await gateway.take(obeyed)
        assert await gateway.ask(20, ADMIN) == {"new--1": 20}

        spec = (await cluster.get(EXPERIMENTS, here.name, "trial") or {})["spec"]
        assert spec["onSuccess"] == "Promote"
        # The CRD of the inference extension is not installed, and nothing is the matter.
        assert _reason(status, "Ready") == "Decided"

    # An operator that is started anew obeys the verdict, whatever becomes of the arm meanwhile.
    gateway.models.broken.add("new--1")
    await gateway.ask(40, ADMIN, "later")
    async with running_operator(installed, _kinds(gateway, tmp_path), here.name):
        await here.put(_trial(here.name, guardMetrics=[bound], decommission="Retire"))
        again = await here.status_when(lambda status: status["observedGeneration"] == 2)
        assert (again["verdict"], again["promoted"]) == (status["verdict"], "new")


async def test_breach_rolls_back_and_retires_the_loser(
    here: Namespace, gateway: ExperimentingGateway, installed: ApiServer, cluster: KubeCluster, tmp_path: Path
) -> None:
    await here.looked_at("new", "new--1")
    await here.put(_trial(here.name, decommission="Retire"))
    await gateway.take(await here.snapshot())
    gateway.models.broken.add("new--1")
    async with running_operator(installed, _kinds(gateway, tmp_path), here.name):
        running = await here.status_when(lambda status: _reason(status, "Analysed") == "Analysed")
        assert running["phase"] == "Running"
        await gateway.ask(160, ADMIN)
        status = await here.status_when(lambda status: status["phase"] == "RolledBack")
        assert (status["promoted"], status["verdict"]["decision"]) == ("base", "Breach")
        assert status["verdict"]["reasons"][0].endswith("max 0.05 is broken.")
        obeyed = await here.snapshot()
        await gateway.take(obeyed)
        assert await gateway.ask(20, ADMIN) == {"": 20}
        retired = await here.status_when(lambda status: status.get("retired") == ["new"])
        assert _reason(retired, "Decommissioned") == "Retired"
    kept = await cluster.get(EXPERIMENTS, here.name, "trial") or {}
    assert kept["metadata"]["generation"] == 1  # nobody has written the spec


async def test_split_is_told_to_an_inference_gateway_where_the_cluster_has_that_kind(
    here: Namespace, gateway: ExperimentingGateway, rewrites: ApiServer, cluster: KubeCluster, tmp_path: Path
) -> None:
    async def targets() -> dict[str, int]:
        found = await cluster.list(MODEL_REWRITES, here.name)
        return {
            each["modelRewrite"]: each["weight"]
            for rewrite in found
            for rule in rewrite["spec"]["rules"]
            for each in rule["targets"]
        }

    async def told(expected: dict[str, int]) -> None:
        async def so() -> bool:
            return await targets() == expected

        await until(so, what=f"being told {expected}")

    await here.looked_at("new", "new--1")
    await here.put(_trial(here.name, new=30))
    await gateway.take(await here.snapshot())
    async with running_operator(rewrites, _kinds(gateway, tmp_path), here.name):
        await told({"new--1": 30, "qwen": 70})
        await here.looked_at("new", "new--1", ready=False)
        await told({"qwen": 100})
        [rewrite] = await cluster.list(MODEL_REWRITES, here.name)
        [owner] = rewrite["metadata"]["ownerReferences"]
        assert (owner["kind"], owner["name"]) == ("AdapterExperiment", "trial")  # with which it goes
