"""What a spike of three times the capacity does: how long those wait who are let in, and how soon the others are told.

    .venv/bin/python bench/shedding.py --spike 15

Measures the capacity with as many callers as keep both cores busy, then asks at half of it, then at three times it:
nine of ten questions are one tenant's, the rest another's. Open loop: questions leave at a fixed rate, and latency
counts from the moment a question should have left. All of it runs on this machine and on loopback, this client
included, which takes its part of the cores.
"""

import argparse
import asyncio
import json
import math
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "tests"))
from support.running import Running, running  # noqa: E402 - its folder is no package

LARGE, SMALL = "large", "small"

#: No part of the measurement asks more questions than this.
MOST = 6000

#: Callers at the same time that measure the capacity.
CALLERS = 12

Json = dict[str, object]


@dataclass
class Tenant:
    """What became of one tenant's questions."""

    asked: int = 0
    waited: list[float] = field(default_factory=list)
    """Milliseconds of those let in."""
    told: list[float] = field(default_factory=list)
    """Milliseconds of those refused."""
    errors: Counter[str] = field(default_factory=Counter)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--warm", type=float, default=8.0, help="seconds at half the capacity, 60 at most")
    parser.add_argument("--spike", type=float, default=15.0, help="seconds at three times it, 60 at most")
    parser.add_argument("--times", type=float, default=3.0, help="the spike over the capacity, 5 at most")
    parser.add_argument(
        "--fixed", action="store_true", help="the limit of 256, not the learnt one, to compare"
    )
    parser.add_argument("--questions", type=Path, default=HERE / "questions.txt")
    arguments = parser.parse_args()
    lines = [line for line in arguments.questions.read_text(encoding="utf-8").splitlines() if line.strip()]
    environment = {"SLUICE_MIN_IN_FLIGHT": "256"} if arguments.fixed else {}
    with (
        tempfile.TemporaryDirectory() as folder,
        running(Path(folder) / "data", environment=environment) as up,
    ):
        for tenant in (LARGE, SMALL):
            for document in _documents():
                up.ingest([document], tenant)
        print(json.dumps(asyncio.run(_measured(up, lines, arguments)), indent=2))


def _documents() -> list[Json]:
    files = [HERE.parent / "README.md", HERE.parent / "docs" / "journal.md"]
    return [
        {"id": file.name, "text": file.read_text(encoding="utf-8"), "media_type": "text/markdown"}
        for file in files
    ]


async def _measured(up: Running, questions: Sequence[str], arguments: argparse.Namespace) -> Json:
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(up.url, connector=connector) as http:
        capacity = await _capacity(http, questions)
        warm = await _load(http, questions, capacity / 2, min(60.0, arguments.warm))
        rate = capacity * min(5.0, arguments.times)
        spike = await _load(http, questions, rate, min(60.0, arguments.spike))
        async with http.get("/metrics") as reply:
            metrics = (await reply.text()).splitlines()
    limit = next(line for line in metrics if line.startswith("sluice_gateway_in_flight_limit "))
    return {
        "capacity_per_second": round(capacity, 1),
        "half": _report(warm, min(60.0, arguments.warm)),
        "spike": _report(spike, min(60.0, arguments.spike)),
        "limit_at_the_end": float(limit.rpartition(" ")[2]),
    }


async def _capacity(http: aiohttp.ClientSession, questions: Sequence[str]) -> float:
    """Answers in a second, where each caller asks again once it has its answer."""
    found = Tenant()

    async def ask_on(until: float) -> None:
        while time.perf_counter() < until:
            await _one(http, questions[found.asked % len(questions)], time.perf_counter(), LARGE, found)

    await asyncio.gather(*(ask_on(time.perf_counter() + 3) for _ in range(CALLERS)))
    found = Tenant()
    started = time.perf_counter()
    await asyncio.gather(*(ask_on(started + 8) for _ in range(CALLERS)))
    return len(found.waited) / (time.perf_counter() - started)


async def _load(
    http: aiohttp.ClientSession, questions: Sequence[str], rate: float, seconds: float
) -> dict[str, Tenant]:
    found = {LARGE: Tenant(), SMALL: Tenant()}
    started = time.perf_counter() + 0.1
    asking = []
    for index in range(min(MOST, int(rate * seconds))):
        tenant = SMALL if index % 10 == 0 else LARGE
        due = started + index / rate
        asking.append(
            asyncio.create_task(_one(http, questions[index % len(questions)], due, tenant, found[tenant]))
        )
    await asyncio.gather(*asking)
    return found


async def _one(http: aiohttp.ClientSession, question: str, due: float, tenant: str, found: Tenant) -> None:
    await asyncio.sleep(max(0.0, due - time.perf_counter()))
    found.asked += 1
    body = {"model": "default", "messages": [{"role": "user", "content": question}]}
    left = time.perf_counter()
    try:
        async with http.post("/v1/chat/completions", json=body, headers={"x-sluice-tenant": tenant}) as reply:
            content = await reply.json()
    except aiohttp.ClientError as error:
        found.errors[type(error).__name__] += 1
        return
    now = time.perf_counter()
    if reply.status == 200:
        found.waited.append(1000 * (now - due))
    elif reply.status == 429 and "retry-after" in reply.headers:
        # From when it left: what this client was late by is not the gateway's time to refuse.
        found.told.append(1000 * (now - left))
    else:
        found.errors[str(content["error"]["code"])] += 1


def _report(found: dict[str, Tenant], seconds: float) -> Json:
    waited = [one for tenant in found.values() for one in tenant.waited]
    told = [one for tenant in found.values() for one in tenant.told]
    return {
        "asked": {name: tenant.asked for name, tenant in found.items()},
        "let_in": {name: len(tenant.waited) for name, tenant in found.items()},
        "answers_per_second": round(len(waited) / seconds, 1),
        "waited_ms": _quantiles(waited),
        "refused_ms": _quantiles(told),
        "other_errors": dict(sum((tenant.errors for tenant in found.values()), Counter())),
    }


def _quantiles(values: Sequence[float]) -> Json:
    ordered = sorted(values)
    if not ordered:
        return {}
    return {
        f"p{part}": round(ordered[min(len(ordered) - 1, math.ceil(len(ordered) * part / 100) - 1)], 1)
        for part in (50, 95, 99)
    }


if __name__ == "__main__":
    main()
