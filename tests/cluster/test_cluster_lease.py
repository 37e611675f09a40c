"""Two real processes and one Lease: one works, the other stands by."""

import asyncio
import json
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sluice_operator.cluster.kube import KubeCluster
from sluice_operator.cluster.resources import LEASES
from sluice_operator.leading import Lease
from support.api_server import ApiServer
from support.gateways import free_port
from support.operator_process import operator_process
from support.probes import fetch
from support.toy_cluster import ToyCluster, install
from support.waiting import until

pytestmark = pytest.mark.needs("cluster")


@pytest.fixture(scope="module")
def toy_server(server: ApiServer) -> ApiServer:
    install(server)
    return server


@pytest.fixture
def toys(toy_server: ApiServer, cluster: KubeCluster, namespace: str) -> ToyCluster:
    return ToyCluster(toy_server, cluster, namespace)


def settings(toys: ToyCluster, instance: str, **more: Any) -> dict[str, Any]:
    return {
        "instance": instance,
        "namespaces": json.dumps([toys.namespace]),
        "leader_election": "true",
        "own_namespace": toys.namespace,
        "lease_seconds": 3,
        "probe_listen": f"127.0.0.1:{free_port()}",
        "metrics_listen": f"127.0.0.1:{free_port()}",
    } | more


async def holder(toys: ToyCluster) -> str:
    lease = await toys.cluster.get(LEASES, toys.namespace, "sluice-operator")
    held = str(((lease or {}).get("spec") or {}).get("holderIdentity") or "")
    return held.partition("_")[0]


def held_by(toys: ToyCluster, name: str) -> Callable[[], Any]:
    async def is_so() -> bool:
        return await holder(toys) == name

    return is_so


async def test_a_standby_takes_over_when_the_holder_is_killed_or_stops(
    toys: ToyCluster, tmp_path: Path
) -> None:
    first, second = settings(toys, "first"), settings(toys, "second")
    third = settings(toys, "third", lease_seconds=30)
    log, module = tmp_path / "log", "support.toy_operator"
    async with operator_process(toys.server, log, module, **first) as killed:
        await until(held_by(toys, "first"))
        async with operator_process(toys.server, log, module, **second) as stopped:

            async def stands_by() -> bool:
                status, text = await fetch(second["probe_listen"], "/healthz")
                return status == 200 and json.loads(text)["leads"] is False

            await until(stands_by)
            await toys.make("a", entries={"x": "1"})
            await toys.wait("a", "Ready", "Made")
            _, shown = await fetch(first["metrics_listen"], "/metrics")
            assert "sluice_operator_leader 1.0" in shown
            assert 'sluice_reconcile_passes_total{kind="Toy",outcome="done"}' in shown
            assert 'sluice_operator_objects{kind="Toy"} 1.0' in shown
            _, shown = await fetch(second["metrics_listen"], "/metrics")
            assert "sluice_operator_leader 0.0" in shown
            assert 'sluice_reconcile_passes_total{kind="Toy",outcome="done"}' not in shown

            killed.send_signal(signal.SIGKILL)
            await until(held_by(toys, "second"))
            await toys.make("b", entries={"x": "1"})
            await toys.wait("b", "Ready", "Made")
            status, text = await fetch(second["probe_listen"], "/healthz")
            assert (status, json.loads(text)["problem"]) == (200, "")

            # The next one's Lease lasts: it is given back, and not waited for.
            stopped.send_signal(signal.SIGTERM)
            assert await asyncio.wait_for(stopped.wait(), 60) == 0
        assert await holder(toys) == ""
        async with operator_process(toys.server, log, module, **third):
            await until(held_by(toys, "third"))
            await toys.make("c", entries={"x": "1"})
            await toys.wait("c", "Ready", "Made")


async def test_a_holder_ends_at_once_when_another_has_taken_its_lease(
    toys: ToyCluster, tmp_path: Path
) -> None:
    log = tmp_path / "log"
    given = settings(toys, "first")
    async with operator_process(toys.server, log, "support.toy_operator", **given) as process:
        await until(held_by(toys, "first"))
        taken = '{"spec": {"holderIdentity": "somebody"}}'
        await toys.kubectl("patch", "lease", "sluice-operator", "--type=merge", "-p", taken)

        assert await asyncio.wait_for(process.wait(), 60) == 3
    assert "the Lease is lost: somebody else has taken it" in log.read_text()
    assert await holder(toys) == "somebody"


async def test_of_two_takers_one_holds(toys: ToyCluster) -> None:
    leases = [Lease(toys.cluster, toys.namespace, "one", f"taker-{number}", 30) for number in range(4)]
    tasks = [asyncio.create_task(lease.acquire()) for lease in leases]
    done, waiting = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED, timeout=60)
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)

    lease = await toys.cluster.get(LEASES, toys.namespace, "one")
    assert lease is not None
    assert lease["spec"]["leaseTransitions"] == 0
    assert len(done) == 1
