"""Which replica gets a request: round robin, the least work, and the least work with adapter affinity, side by side.

    .venv/bin/python bench/routing.py --rate 10 --seconds 40

Each way has replicas of its own, doubles of vLLM with LRU slots for adapters: one that is in no slot is brought there
from memory, or read from its folder where memory has dropped it, and nothing else is written meanwhile. All three get
the same requests at the same moments: Poisson arrivals that wait for nobody, and adapters by Zipf's law. Latency counts
from the moment a request should have left. CPU is that of the process that asks: engine, choice, streams, scraping.

`--virtual` does the same in virtual time, without HTTP: exact, the same on every machine, and quick.
"""

import argparse
import asyncio
import itertools
import json
import math
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "tests"))

import virtual_routing  # noqa: E402 - its folder is no package

from doubles.vllm import Adapter, Settings, believing  # noqa: E402
from doubles.vllm import serving as serving_vllm  # noqa: E402
from sluice_inference.domain.model import Delta, Message, Passage, Sampling, Task  # noqa: E402
from sluice_inference.domain.routing.choosing import choose  # noqa: E402
from sluice_inference.domain.routing.model import Ask, ReplicaView, Rules  # noqa: E402
from sluice_inference.engines.openai_compatible import OpenAiCompatibleEngine  # noqa: E402
from sluice_inference.engines.replica import Room  # noqa: E402
from sluice_servicekit.errors import ServiceError  # noqa: E402
from support.upstreams import upstream_engine  # noqa: E402

#: By what the table calls it: which engine gets the next request.
WAYS = ("round robin", "least work", "adapter affinity")

#: No way is asked more.
MOST = 6000

WORDS = "press oil hour change valve belt care safety weight city order part tool guard lever".split()

Json = dict[str, object]
Next = Callable[[], OpenAiCompatibleEngine]


def main() -> None:
    arguments = _arguments()
    if arguments.serve:
        asyncio.run(_serve(arguments))
    elif arguments.ask:
        print(json.dumps(asyncio.run(_ask(arguments))))
    else:
        _measure(arguments)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rate", type=float, default=10.0, help="requests per second, for each way")
    parser.add_argument("--seconds", type=float, default=40.0, help="of load, 120 at most")
    parser.add_argument("--replicas", type=int, default=4)
    parser.add_argument("--adapters", type=int, default=24)
    parser.add_argument(
        "--zipf", type=float, default=1.0, help="how much more the first adapters are asked for"
    )
    parser.add_argument("--max-loras", type=int, default=4, help="slots of a replica")
    parser.add_argument("--max-cpu-loras", type=int, default=8, help="adapters in a replica's memory")
    parser.add_argument("--load-seconds", type=float, default=0.3, help="to read an adapter from its folder")
    parser.add_argument(
        "--slot-seconds", type=float, default=0.03, help="to bring one from memory into a slot"
    )
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--plot", type=Path, default=HERE.parent / ".cache" / "routing.png")
    parser.add_argument("--virtual", action="store_true", help="in virtual time, without HTTP")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--ask", help=argparse.SUPPRESS)
    parser.add_argument("--urls", default="", help=argparse.SUPPRESS)
    return parser.parse_args()


def _measure(arguments: argparse.Namespace) -> None:
    reports = _virtual(arguments) if arguments.virtual else _real(arguments)
    _plot(reports, arguments.plot)
    choices = {count: _microseconds(count) for count in (3, 16, 64)}
    if arguments.json:
        print(json.dumps({"ways": reports, "choice_microseconds": choices}, indent=2))
    else:
        _print(reports, choices, arguments.plot)


def _virtual(arguments: argparse.Namespace) -> dict[str, Json]:
    requests, settings = _requests(arguments), _settings(arguments)
    counts = arguments.replicas, arguments.adapters
    return {way: virtual_routing.measured(way, requests, settings, *counts) for way in WAYS}


def _real(arguments: argparse.Namespace) -> dict[str, Json]:
    given = [argument for argument in sys.argv[1:] if argument != "--json"]
    servers = {way: _process(*given, "--serve") for way in WAYS}
    try:
        urls = {way: _line(server) for way, server in servers.items()}
        asking = {way: _process(*given, "--ask", way, "--urls", urls[way]) for way in WAYS}
        for process in asking.values():
            _line(process)  # it has loaded its code
        start = time.time() + 1.0
        for process in asking.values():
            print(start, file=process.stdin, flush=True)
        reports = {way: json.loads(_line(process)) for way, process in asking.items()}
        for way, server in servers.items():
            print(file=server.stdin, flush=True)
            reports[way] |= json.loads(_line(server))
    finally:
        for server in servers.values():
            server.terminate()
    return reports


def _process(*arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, __file__, *arguments]
    environment = {**os.environ, "PYTHONPATH": str(HERE.parent / "tests")}
    return subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    )


def _line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


async def _serve(arguments: argparse.Namespace) -> None:
    """Replicas until the parent ends us; tells their URLs, and what they loaded once a line is written to us."""
    settings = _settings(arguments)
    async with serving_vllm(arguments.replicas, settings, read=believing) as servers:
        for server in servers:  # all are known everywhere, and none is in memory yet
            for number in range(arguments.adapters):
                server.adapters[f"a{number}"] = Adapter(
                    f"a{number}", number + 1, f"/a{number}", f"/a{number}"
                )
        print(",".join(server.v1 for server in servers), flush=True)
        await asyncio.to_thread(sys.stdin.readline)
        counts = [server.engine.counts for server in servers]
        loads = {place: sum(each[f"loads_{place}"] for each in counts) for place in ("folder", "memory")}
        print(json.dumps({"loads": loads}), flush=True)


def _settings(arguments: argparse.Namespace) -> Settings:
    return Settings(
        max_model_len=1 << 20,
        max_loras=arguments.max_loras,
        max_cpu_loras=arguments.max_cpu_loras,
        load_seconds=arguments.load_seconds,
        slot_seconds=arguments.slot_seconds,
        token_seconds=0.01,
        prompt_token_seconds=0.0001,
    )


async def _ask(arguments: argparse.Namespace) -> Json:
    urls = arguments.urls.split(",")
    async with AsyncExitStack() as stack:
        choose_next = _engines(stack, arguments.ask, urls, Room(arguments.max_loras, arguments.max_cpu_loras))
        firsts: list[float] = []
        wholes: list[float] = []
        failed: list[str] = []
        requests = _requests(arguments)
        print("ready", flush=True)
        started = float(await asyncio.to_thread(sys.stdin.readline))
        await asyncio.sleep(max(0.0, started - time.time()))
        before = time.process_time()
        async with asyncio.TaskGroup() as tasks:
            for due, task in requests:
                await asyncio.sleep(max(0.0, started + due - time.time()))
                tasks.create_task(_one(choose_next(), task, started + due, firsts, wholes, failed))
        used = time.process_time() - before
    asked = len(wholes) + len(failed)
    return {
        "asked": asked,
        "failed": len(failed),
        "first_piece_ms": firsts,
        "whole_ms": wholes,
        "cpu_ms": 1000 * used / asked,
    }


def _engines(stack: AsyncExitStack, way: str, urls: Sequence[str], room: Room) -> Next:
    def one(*of: str, **routing: object) -> OpenAiCompatibleEngine:
        engine = upstream_engine(of, is_vllm=True, room=room, **routing)
        stack.push_async_callback(engine.close)
        return engine

    if way == "round robin":
        turns = itertools.cycle([one(url) for url in urls])
        return lambda: next(turns)
    engine = one(*urls, imbalance=0.0) if way == "least work" else one(*urls)
    engine.watch()
    return lambda: engine


def _requests(arguments: argparse.Namespace) -> list[tuple[float, Task]]:
    """When each should leave, in seconds, and what it asks; the same for the same seed."""
    chance = random.Random(arguments.seed)
    weights = [1 / (rank + 1) ** arguments.zipf for rank in range(arguments.adapters)]
    count = min(MOST, int(arguments.rate * min(120.0, arguments.seconds)))
    due, found = 0.0, []
    for _ in range(count):
        due += chance.expovariate(arguments.rate)
        adapter = chance.choices(range(arguments.adapters), weights)[0]
        text = " ".join(chance.choices(WORDS, k=150))
        found.append(
            (
                due,
                Task(
                    (Message("user", f"What of {text[:40]}?"),),
                    (Passage("a.md", "Care", text, 1.0),),
                    Sampling(temperature=0.0),
                    model_name=f"a{adapter}",
                    tenant=f"t{adapter}",
                ),
            )
        )
    return found


async def _one(
    engine: OpenAiCompatibleEngine,
    task: Task,
    due: float,
    firsts: list[float],
    wholes: list[float],
    failed: list[str],
) -> None:
    first = math.nan
    try:
        async for event in engine.generate(task):
            if isinstance(event, Delta) and event.text and math.isnan(first):
                first = 1000 * (time.time() - due)
    except ServiceError as error:
        failed.append(error.reason)
        return
    firsts.append(first)
    wholes.append(1000 * (time.time() - due))


def _microseconds(replicas: int) -> float:
    """Of one choice among so many."""
    view = ReplicaView("", 3, 2.0, 0.2, 4, ("a1", "a2"), frozenset({"a1", "a2", "a3", "a4"}))
    views = [replace(view, name=f"r{number}", in_flight=number % 5) for number in range(replicas)]
    chance, rounds = random.Random(1), 2000
    asks = [Ask(f"a{number}", tuple(range(number, number + 20))) for number in range(20)]
    started = time.process_time()
    for number in range(rounds):
        choose(views, asks[number % len(asks)], Rules(), chance)
    return 1e6 * (time.process_time() - started) / rounds


def _quantile(values: Sequence[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else math.nan


def _print(reports: dict[str, Json], choices: dict[int, float], plot: Path) -> None:
    print(f"{'':18}{'first piece, ms':>24}{'whole answer, ms':>24}{'adapters loaded':>18}{'':>8}{'CPU':>8}")
    quantiles = f"{'p50':>8}{'p95':>8}{'p99':>8}"
    print(f"{'':18}{quantiles}{quantiles}{'folder':>9}{'memory':>9}{'failed':>8}{'ms':>8}")
    for way, report in reports.items():
        cells = [
            _quantile(report[name], share)
            for name in ("first_piece_ms", "whole_ms")
            for share in (0.5, 0.95, 0.99)
        ]
        loads = report["loads"]
        print(
            f"{way:18}"
            + "".join(f"{cell:8.0f}" for cell in cells)
            + f"{loads['folder']:9}{loads['memory']:9}{report['failed']:8}{report['cpu_ms']:8.2f}"
        )
    asked = {report["asked"] for report in reports.values()}
    print(f"{max(asked)} requests for each way")
    told = ", ".join(f"{count}: {cost:.0f}" for count, cost in choices.items())
    print(f"microseconds for a choice, by replicas: {told}\nplot: {plot}")


def _plot(reports: dict[str, Json], path: Path) -> None:
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figure, (times, loads) = plt.subplots(1, 2, figsize=(11, 4), width_ratios=(3, 2))
    for way, report in reports.items():
        ordered = sorted(report["first_piece_ms"])
        shares = [(place + 1) / len(ordered) for place in range(len(ordered))]
        times.plot(ordered, shares, label=way)
    times.set(xscale="log", xlabel="first piece, ms", ylabel="part of requests")
    times.legend()
    times.grid(visible=True, alpha=0.3)
    bottom = [0] * len(reports)
    for place, label in (("folder", "read from a folder"), ("memory", "brought from memory")):
        counts = [report["loads"][place] for report in reports.values()]
        loads.bar(list(reports), counts, bottom=bottom, label=label)
        bottom = [below + count for below, count in zip(bottom, counts, strict=True)]
    loads.set(ylabel="adapters loaded")
    loads.legend()
    figure.tight_layout()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=80)


if __name__ == "__main__":
    main()
