"""How long a change of a custom resource takes to be in force in every process, and what the snapshot costs.

.venv/bin/python bench/snapshot.py [--rounds 20] [--adapters 1000] [--only cost]
"""

import argparse
import asyncio
import contextlib
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from kubernetes.aio import client, config

from sluice_api.loading import LoadedObject, parse
from sluice_api.objects.base import API_VERSION
from sluice_api.objects.guardrail_policy import GuardrailPolicy
from sluice_api.tolerant import Current, Key, settle
from sluice_cli.supervising.ports import free_address
from sluice_operator.cluster.kube import KubeCluster
from sluice_operator.cluster.resources import resource_of
from sluice_operator.snapshots.last_good import encode

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from support import crds
from support.api_server import ApiServer, api_server
from support.service_processes import service_processes
from support.snapshot_operator import snapshot_operator
from support.waiting import until

OBJECTS = Path(__file__).parents[1] / "examples" / "quickstart"
NAMESPACE = "snapshot-bench"
PROCESSES = 5


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--adapters", type=int, default=1000)
    parser.add_argument("--only", choices=("cost", "way"))
    options = parser.parse_args()
    if options.only != "way":
        asyncio.run(_cost(options.adapters))
    if options.only != "cost":
        with api_server() as server:
            seconds = sorted(asyncio.run(way(server, options.rounds)))
        middle, worst = seconds[len(seconds) // 2], seconds[-1]
        print(
            f"from the write of a GuardrailPolicy until all {PROCESSES} processes run it, {len(seconds)} changes: "
            f"median {middle:.2f} s, worst {worst:.2f} s (budget 5 s)"
        )


async def way(server: ApiServer, rounds: int) -> Sequence[float]:
    """Seconds from each of some changes' writes until all processes have acknowledged them."""
    crds.install(server)
    server.kubectl("create", "namespace", NAMESPACE)
    server.kubectl("-n", NAMESPACE, "apply", "-f", str(OBJECTS))
    configuration = client.Configuration()
    await config.load_kube_config(str(server.kubeconfig), client_configuration=configuration)
    address = free_address()
    with tempfile.TemporaryDirectory() as folder:
        async with (
            client.ApiClient(configuration) as api,
            service_processes(Path(folder), address) as services,
            snapshot_operator(server, NAMESPACE, address) as distributor,
        ):
            await services.ready()
            cluster = KubeCluster(api)

            async def one(number: int) -> float:
                policy = _object("GuardrailPolicy", "default", {"maxInputCharacters": 1000 + number})
                before, began = distributor.digest, time.perf_counter()
                await cluster.apply(resource_of(GuardrailPolicy), policy)

                async def everywhere() -> bool:
                    accepted = [each.accepted for each in distributor.servicer.watchers]
                    return distributor.digest != before and accepted == [distributor.digest] * PROCESSES

                await until(everywhere)
                return time.perf_counter() - began

            return [await one(number) for number in range(rounds)]


async def _cost(adapters: int) -> None:
    current = _many(adapters)
    settled = settle(current, {})
    bad = {**current, **_current("GuardrailPolicy", "policy-1", {"mode": "sometimes"})}
    print(
        f"{len(current)} objects, {adapters} of them adapters; snapshot {len(settled.snapshot.content):,} bytes"
    )
    print(f"  last good copy {len(encode(settled.good)):,} bytes")
    for name, objects in (("all good", current), ("one bad", bad)):
        stalls: list[float] = []
        watching = asyncio.create_task(_stalls(stalls))
        began = time.perf_counter()
        for _ in range(5):
            result = await asyncio.to_thread(settle, objects, settled.good)
            await asyncio.to_thread(lambda result=result: result.snapshot.digest)
        took = (time.perf_counter() - began) / 5
        watching.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await watching
        print(
            f"  {name}: {1000 * took:.0f} ms in a thread; the loop stood still for {1000 * max(stalls):.0f} ms"
        )


async def _stalls(found: list[float]) -> None:
    while True:
        began = time.perf_counter()
        await asyncio.sleep(0.001)
        found.append(time.perf_counter() - began - 0.001)


def _many(adapters: int) -> dict[Key, Current]:
    found = {
        **_current("KnowledgeBase", "kb", {}),
        **_current("ModelServer", "server", {"baseModel": "base", "vllm": {"image": "vllm"}}),
    }
    for number in range(100):
        found |= _current("GuardrailPolicy", f"policy-{number}", {})
        found |= _current(
            "Pipeline",
            f"pipeline-{number}",
            {
                "knowledgeBaseRef": "kb",
                "guardrailPolicyRef": f"policy-{number}",
                "steps": {"generate": {"modelServerRef": "server", "modelName": f"adapter-{number}"}},
            },
        )
    for number in range(adapters):
        found |= _current(
            "LoRAAdapter",
            f"adapter-{number}",
            {
                "modelServerRef": "server",
                "modelName": f"adapter-{number}",
                "revision": "1",
                "source": {"http": {"url": f"https://example.org/{number}.tar"}},
            },
        )
    return found


def _current(kind: str, name: str, spec: Any) -> dict[Key, Current]:
    found = next(iter(parse(NAMESPACE, 0, _object(kind, name, spec))))
    if isinstance(found, LoadedObject):
        current = Current(status={}, generation=1, created_at="", object=found.object)
    else:
        current = Current(status={}, generation=1, created_at="", problems=(found,))
    return {Key(kind, NAMESPACE, name): current}


def _object(kind: str, name: str, spec: Any) -> dict[str, Any]:
    metadata = {"name": name, "namespace": NAMESPACE}
    return json.loads(
        json.dumps({"apiVersion": API_VERSION, "kind": kind, "metadata": metadata, "spec": spec})
    )


if __name__ == "__main__":
    main()
