"""What a durable run costs the gateway, beside the same run in Express.

    .venv/bin/python bench/durable.py --runs 100

A real gateway over doubles of the services that answer at once, so that what is measured is the gateway alone: SQLite
first, then a PostgreSQL of its own where the machine has one. Durable runs are started and waited for one at a time
for the latency, then all at once for the rate.
"""

import argparse
import asyncio
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from pathlib import Path

import psutil

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "tests"))
from support import postgres  # noqa: E402 - its folder is no package
from support.durable import pipeline  # noqa: E402
from support.gateways import GatewayProcess, gateway  # noqa: E402
from support.service_doubles import doubles  # noqa: E402

BODY = {"model": "default", "messages": [{"role": "user", "content": "How long does it take?"}]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--runs", type=int, default=100, help="of each kind")
    arguments = parser.parse_args()
    print(f"{'database':<12}{'what':<26}{'p50 ms':>9}{'p99 ms':>9}{'runs/s':>9}{'CPU ms/run':>12}")
    with ExitStack() as stack, tempfile.TemporaryDirectory() as folder:
        urls = {"SQLite": ""}
        if postgres.is_there():
            urls["PostgreSQL"] = stack.enter_context(postgres.server()).new_database()
        for name, url in urls.items():
            asyncio.run(_measured(name, Path(folder) / name, url, arguments.runs))


async def _measured(name: str, data: Path, url: str, runs: int) -> None:
    async with doubles(pipeline()) as services, gateway(data, services, url=url) as running:
        process = psutil.Process(running.process.pid)
        started, before = time.perf_counter(), _cpu(process)
        await asyncio.sleep(5)
        idle = (_cpu(process) - before) / (time.perf_counter() - started)
        for _ in range(5):  # warm
            await _express(running)
            await _durable(running)
        await _one_at_a_time(name, "Express", process, runs, lambda: _express(running))
        await _one_at_a_time(name, "durable, one at a time", process, runs, lambda: _durable(running))
        before, started = _cpu(process), time.perf_counter()
        await asyncio.gather(*(_durable(running) for _ in range(runs)))
        seconds = time.perf_counter() - started
        cpu = (_cpu(process) - before) * 1000 / runs
        print(f"{name:<12}{'durable, all at once':<26}{'':>18}{runs / seconds:>9.1f}{cpu:>12.1f}")
        print(f"{name:<12}{'idle':<26}{idle * 100:>36.1f} % of a core")


async def _one_at_a_time(
    name: str, what: str, process: psutil.Process, runs: int, one: Callable[[], Awaitable[None]]
) -> None:
    took, before = [], _cpu(process)
    for _ in range(runs):
        started = time.perf_counter()
        await one()
        took.append((time.perf_counter() - started) * 1000)
    cpu = (_cpu(process) - before) * 1000 / runs
    took.sort()
    print(f"{name:<12}{what:<26}{took[runs // 2]:>9.1f}{took[int(runs * 0.99)]:>9.1f}{'':>9}{cpu:>12.1f}")


async def _express(running: GatewayProcess) -> None:
    reply = await running.post("/v1/chat/completions", **BODY)
    assert reply.status_code == 200, reply.text


async def _durable(running: GatewayProcess) -> None:
    reply = await running.http.post("/v1/runs", json=BODY, headers={"prefer": "wait=60"}, timeout=90)
    assert (reply.status_code, reply.json()["state"]) == (200, "answered"), reply.text


def _cpu(process: psutil.Process) -> float:
    times = process.cpu_times()
    return times.user + times.system


if __name__ == "__main__":
    main()
