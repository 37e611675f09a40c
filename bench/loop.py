"""The whole loop under load: latency by step, CPU by process, errors by kind.

    .venv/bin/python bench/loop.py --rates 5,10,20 --seconds 20

Open loop: questions leave at a fixed rate whether or not earlier ones were answered, and latency counts from the
moment a question should have left. Everything runs on this machine and on loopback, this client included, whose own
CPU is told apart.
"""

import argparse
import asyncio
import json
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import psutil

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "tests"))
from support.running import Running, running  # noqa: E402 - its folder is no package

STEPS = ("guard_input", "retrieve", "rerank", "guard_passages", "generate", "guard_output")
Json = dict[str, object]


@dataclass
class Load:
    """What became of one rate."""

    rate: float
    seconds: float
    latencies: list[float] = field(default_factory=list)
    outcomes: Counter[str] = field(default_factory=Counter)
    run_ids: list[str] = field(default_factory=list)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rates", default="5,10,20", help="questions per second, one load after the other")
    parser.add_argument("--seconds", type=float, default=20.0, help="length of each load, 120 at most")
    parser.add_argument(
        "--documents", type=Path, nargs="*", default=[HERE.parent / "README.md", HERE.parent / "docs"]
    )
    parser.add_argument("--questions", type=Path, default=HERE / "questions.txt")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    rates = [min(float(rate), 1000.0) for rate in arguments.rates.split(",")]
    questions = [
        line for line in arguments.questions.read_text(encoding="utf-8").splitlines() if line.strip()
    ]
    reports = []
    with tempfile.TemporaryDirectory() as folder, running(Path(folder) / "data") as up:
        up.ingest(_documents(arguments.documents))
        asyncio.run(_ask(up, questions, Load(5, 3)))  # warm
        for rate in rates:
            reports.append(_measure(up, questions, rate, min(arguments.seconds, 120.0)))
            if not arguments.json:
                _print(reports[-1])
    if arguments.json:
        print(json.dumps(reports, indent=2))


def _documents(paths: Sequence[Path]) -> list[Json]:
    files = [file for path in paths for file in (sorted(path.rglob("*.md")) if path.is_dir() else [path])]
    return [
        {"id": file.name, "text": file.read_text(encoding="utf-8"), "media_type": "text/markdown"}
        for file in files
    ]


def _measure(up: Running, questions: Sequence[str], rate: float, seconds: float) -> Json:
    load = Load(rate, seconds)
    before, own = _cpu(up), sum(psutil.Process().cpu_times()[:2])
    asyncio.run(_ask(up, questions, load))
    used = {name: value - before[name] for name, value in _cpu(up).items()}
    used["this client"] = sum(psutil.Process().cpu_times()[:2]) - own
    asked = max(1, sum(load.outcomes.values()))
    return {
        "rate": rate,
        "asked": asked,
        "outcomes": dict(load.outcomes),
        "latency_ms": _quantiles(load.latencies),
        "step_ms": {step: _quantiles(values) for step, values in _steps(up, load.run_ids).items()},
        "cpu_ms_per_question": {name: round(1000 * value / asked, 1) for name, value in used.items()},
    }


async def _ask(up: Running, questions: Sequence[str], load: Load) -> None:
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=256)
    async with httpx.AsyncClient(base_url=up.url, timeout=30.0, limits=limits, verify=False) as http:
        started = time.perf_counter() + 0.1
        count = int(load.rate * load.seconds)
        asking = [
            asyncio.create_task(
                _one(http, questions[index % len(questions)], started + index / load.rate, load)
            )
            for index in range(count)
        ]
        await asyncio.gather(*asking)


async def _one(http: httpx.AsyncClient, question: str, due: float, load: Load) -> None:
    await asyncio.sleep(max(0.0, due - time.perf_counter()))
    body = {"model": "default", "messages": [{"role": "user", "content": question}]}
    try:
        reply = await http.post("/v1/chat/completions", json=body)
    except httpx.HTTPError as error:
        load.outcomes[type(error).__name__] += 1
        return
    load.latencies.append(1000 * (time.perf_counter() - due))
    if run_id := reply.headers.get("x-sluice-run-id"):
        load.run_ids.append(run_id)
    content = reply.json()
    load.outcomes[content["sluice"]["state"] if reply.is_success else content["error"]["code"]] += 1


def _steps(up: Running, run_ids: Sequence[str]) -> Mapping[str, list[float]]:
    found: dict[str, list[float]] = defaultdict(list)
    with up.http() as http:
        for run_id in run_ids[:500]:
            for step in http.get(f"/v1/runs/{run_id}").json()["steps"]:
                if step["duration_ms"] is not None:
                    found[step["name"]].append(step["duration_ms"])
    return {step: found[step] for step in (*STEPS, *found.keys() - set(STEPS)) if step in found}


def _cpu(up: Running) -> dict[str, float]:
    """CPU seconds used by each process; the retriever's workers, for knowledge bases and files, together."""
    used: dict[str, float] = {"supervisor": sum(psutil.Process(up.process.pid).cpu_times()[:2])}
    for entry in up.record["processes"]:
        process = psutil.Process(entry["pid"])
        used[entry["name"]] = sum(process.cpu_times()[:2])
        for child in process.children(recursive=True):
            if "resource_tracker" not in " ".join(child.cmdline()):
                workers = f"{entry['name']} workers"
                used[workers] = used.get(workers, 0.0) + sum(child.cpu_times()[:2])
    return used


def _quantiles(values: Sequence[float]) -> dict[str, float]:
    ordered = sorted(values)
    if not ordered:
        return {}
    return {
        name: round(ordered[min(len(ordered) - 1, int(share * len(ordered)))], 1)
        for name, share in (("p50", 0.50), ("p95", 0.95), ("p99", 0.99), ("max", 1.0))
    }


def _print(report: Json) -> None:
    print(f"\n{report['rate']:g} questions/s: {report['asked']} asked, {report['outcomes']}")
    print(f"  {'ms':22}{'p50':>8}{'p95':>8}{'p99':>8}{'max':>8}")
    rows = {"whole answer": report["latency_ms"], **report["step_ms"]}
    for name, values in rows.items():
        print(
            f"  {name:22}"
            + "".join(f"{values[each]:8.1f}" for each in ("p50", "p95", "p99", "max") if values)
        )
    print("  CPU ms per question")
    cpu = report["cpu_ms_per_question"]
    for name, value in cpu.items():
        print(f"    {name:20}{value:8.1f}")
    print(f"    {'all but this client':20}{sum(v for n, v in cpu.items() if n != 'this client'):8.1f}")


if __name__ == "__main__":
    main()
