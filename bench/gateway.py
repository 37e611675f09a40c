"""The gateway's overhead beside LiteLLM's proxy, in one run, before the same upstream.

    .venv/bin/python bench/gateway.py --rate 20 --seconds 30 --memory 5000

Each subject is asked at a fixed rate, in an open loop: latency counts from the moment a request should have left. CPU
is that of its processes, from /proc. Then as many requests as `--memory` says go through it, a few at a time, and its
memory is read before and after. Everything is on this machine and on loopback; only figures of one run compare.

`--whole` adds the whole loop on the project's documents, `--audit` the same pipeline with an answer that does not wait
for the journal, `--durable` runs that are posted to /v1/runs and waited for.
"""

import argparse
import asyncio
import json
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "tests"))
from proxying import subjects  # noqa: E402 - needs the tests' folder
from proxying.calls import cpu_ms_of_calls  # noqa: E402
from proxying.load import Load, at_rate, closed, quantiles  # noqa: E402
from proxying.processes import cpu_seconds, megabytes, outside  # noqa: E402
from proxying.subjects import Subject  # noqa: E402

Json = dict[str, Any]

_WARM = 200
_WORKERS = 8
_LONG = 100_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rate", type=float, default=20.0, help="requests per second, 500 at most")
    parser.add_argument("--seconds", type=float, default=30.0, help="length of the load, 120 at most")
    parser.add_argument("--memory", type=int, default=5000, help="requests between two looks at the memory")
    parser.add_argument("--long", action="store_true", help=f"{_LONG} of them")
    parser.add_argument("--whole", action="store_true", help="also the whole loop")
    parser.add_argument(
        "--audit", action="store_true", help="also an answer that does not wait for the journal"
    )
    parser.add_argument("--durable", action="store_true", help="also durable runs")
    parser.add_argument("--without-litellm", action="store_true")
    parser.add_argument("--json", type=Path, help="writes the figures there")
    arguments = parser.parse_args()
    reports: list[Json] = []
    with tempfile.TemporaryDirectory() as folder:
        for report in _reports(Path(folder), arguments):
            reports.append(report)
            _print(report)
    _compare(reports)
    if arguments.json:
        arguments.json.parent.mkdir(parents=True, exist_ok=True)
        arguments.json.write_text(json.dumps(reports, indent=2) + "\n")


def _reports(folder: Path, arguments: argparse.Namespace) -> Iterator[Json]:
    memory = _LONG if arguments.long else arguments.memory
    with subjects.upstream(folder) as mock:
        yield _measured(mock, arguments, 0)
        url = mock.request.url.removesuffix("/v1/chat/completions")
        if not arguments.without_litellm:
            with subjects.litellm(folder, url) as subject:
                yield _measured(subject, arguments, memory)
        with subjects.sluice_light(folder, url) as subject:
            yield _measured(subject, arguments, memory)
            yield _calls_alone(subject, arguments)
            for other in _variants(subject, arguments):
                yield _measured(other, arguments, 0)
        if arguments.whole:
            with subjects.sluice_whole(folder, url) as subject:
                yield _measured(subject, arguments, 0)


def _variants(subject: Subject, arguments: argparse.Namespace) -> Iterator[Subject]:
    request = subject.request
    if arguments.audit:
        unbound = replace(request, body=subjects.body("unbound"))
        yield replace(subject, name="sluice, light services, audit: best-effort", request=unbound)
    if arguments.durable:
        url = request.url.replace("/v1/chat/completions", "/v1/runs")
        yield replace(
            subject, name="sluice, light services, durable", request=replace(request, url=url, durable=True)
        )


def _measured(subject: Subject, arguments: argparse.Namespace, memory: int) -> Json:
    asyncio.run(closed(subject.request, _WARM, _WORKERS))
    rate, seconds = min(arguments.rate, 500.0), min(arguments.seconds, 120.0)
    with _counting(subject) as used:
        load = asyncio.run(at_rate(subject.request, rate, int(rate * seconds)))
    report: Json = {
        "name": subject.name,
        "rate": rate,
        "asked": load.asked,
        "refused": load.refused,
        "outcomes": dict(load.outcomes),
        "latency_ms": quantiles(load.latencies),
        "cpu_ms_per_request": {name: 1000 * value / load.asked for name, value in used.items()},
        "measured": subject.measured,
        "outside_connections": sum(outside(process) for process in subject.processes.values()),
    }
    if memory:
        report["memory"] = _memory(subject, memory)
    return report


def _calls_alone(subject: Subject, arguments: argparse.Namespace) -> Json:
    """What the run's gRPC calls cost without a gateway around them."""
    rate = min(arguments.rate, 500.0)
    count = int(rate * min(arguments.seconds, 120.0))
    question = subjects.QUESTION
    cpu = asyncio.run(cpu_ms_of_calls(subject.services, question, rate, count))
    return {
        "name": "its seven gRPC calls alone",
        "rate": rate,
        "asked": count,
        "cpu_ms_per_request": {"calls": cpu},
    }


def _memory(subject: Subject, count: int) -> Json:
    before = {name: megabytes(process) for name, process in subject.processes.items()}
    with _counting(subject) as used:
        load: Load = asyncio.run(closed(subject.request, count, _WORKERS))
    after = {name: megabytes(process) for name, process in subject.processes.items()}
    return {
        "requests": load.asked,
        "refused": load.refused,
        "requests_per_second": round(load.asked / load.seconds, 1),
        "cpu_ms_per_request": {name: 1000 * value / load.asked for name, value in used.items()},
        "before_mb": before,
        "after_mb": after,
    }


@contextmanager
def _counting(subject: Subject) -> Iterator[dict[str, float]]:
    """CPU seconds of each process within the block."""
    used: dict[str, float] = {}
    before = {name: cpu_seconds(process) for name, process in subject.processes.items()}
    yield used
    time.sleep(0.2)  # what is written behind the answers belongs to them
    used.update({name: cpu_seconds(process) - before[name] for name, process in subject.processes.items()})


def _own(report: Json, phase: Json) -> float:
    """CPU of what is compared."""
    cpu = phase["cpu_ms_per_request"]
    return cpu[report["measured"]] if report.get("measured") else sum(cpu.values())


def _print(report: Json) -> None:
    if "latency_ms" not in report:
        return
    latency = report["latency_ms"]
    cpu = ", ".join(f"{name} {value:.2f}" for name, value in report["cpu_ms_per_request"].items())
    print(f"\n{report['name']}: {report['asked']} at {report['rate']:g}/s, {report['refused']} refused")
    print(f"  latency ms   p50 {latency['p50']:.1f}  p95 {latency['p95']:.1f}  p99 {latency['p99']:.1f}")
    print(f"  CPU ms each  {cpu}")
    if memory := report.get("memory"):
        grown = ", ".join(
            f"{name} {memory['before_mb'][name]:.0f} -> {memory['after_mb'][name]:.0f}"
            for name in memory["before_mb"]
        )
        print(f"  memory MB    {grown} after {memory['requests']}")
        busy = _own(report, memory)
        print(f"  {_WORKERS} at a time  {memory['requests_per_second']}/s, its own CPU ms each {busy:.2f}")
    if report["refused"]:
        print(f"  outcomes     {report['outcomes']}")
    if report["outside_connections"]:
        print(f"  connections to other machines: {report['outside_connections']}")


def _compare(reports: list[Json]) -> None:
    peer = next((each for each in reports if each["name"].startswith("litellm")), None)
    if peer is None:
        return
    print(
        f"\n{'CPU of the proxy itself, ms a request':44}{'at rate':>8}{'of LiteLLM':>12}{'busy':>8}{'of LiteLLM':>12}"
    )
    for report in reports:
        line = (
            f"  {report['name']:42}{_own(report, report):8.2f}{_own(report, report) / _own(peer, peer):12.0%}"
        )
        if memory := report.get("memory"):
            busy = _own(report, memory)
            line += f"{busy:8.2f}{busy / _own(peer, peer['memory']):12.0%}"
        print(line)


if __name__ == "__main__":
    main()
