"""What a cached answer costs beside a whole run: milliseconds and CPU of all processes, one question after the other.

    .venv/bin/python bench/answer_cache.py --rounds 10

`made` sends `Cache-Control: no-store`, so that nothing is looked for; `missed` is a question's first time; `exact` its
second; `semantic` the same in other words; `replayed` is a request sent again under its idempotency key. The median
counts, since other work on the machine only adds.
"""

import argparse
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from pathlib import Path

import httpx
import psutil

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "tests"))
from support.cached_answers import caching_objects  # noqa: E402 - its folder is no package
from support.running import Running, running  # noqa: E402


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rounds", type=int, default=10, help="times that all questions are asked")
    rounds = parser.parse_args().rounds
    questions = [line for line in (HERE / "questions.txt").read_text().splitlines() if line.strip()]
    files = [HERE.parent / "docs" / f"{name}.md" for name in ("architecture", "journal", "api", "operations")]
    times: dict[str, list[float]] = defaultdict(list)
    cpu: dict[str, float] = defaultdict(float)
    with tempfile.TemporaryDirectory() as folder:
        objects = caching_objects(Path(folder))
        with running(Path(folder) / "data", "-f", str(objects)) as up, up.http() as http:
            http.timeout = httpx.Timeout(300)
            for file in files:
                _ingest(http, file.name, file.read_text())
            for question in questions:
                _ask(http, question, {"cache-control": "no-store"})  # warm
            for number in range(rounds):
                _ingest(http, "changes", f"Round {number} has begun.")  # and nothing is given again
                for name, prefix, headers in _kinds(number):
                    before = _cpu(up)
                    for question in questions:
                        started = time.perf_counter()
                        word = _ask(http, prefix(question), _named(headers, question))
                        times[f"{name} ({word})"].append(time.perf_counter() - started)
                    cpu[name] += _cpu(up) - before
    print("| answer | requests | p50 ms | p90 ms | CPU ms each |\n| --- | --- | --- | --- | --- |")
    for name, seconds in times.items():
        each = 1000 * cpu[name.split(" ")[0]] / (rounds * len(questions))
        tenths = [1000 * value for value in statistics.quantiles(seconds, n=10)]
        print(f"| {name} | {len(seconds)} | {tenths[4]:.1f} | {tenths[8]:.1f} | {each:.1f} |")


def _kinds(number: int) -> tuple[tuple[str, Callable[[str], str], dict[str, str]], ...]:
    return (
        ("made", str, {"cache-control": "no-store"}),
        ("missed", str, {}),
        ("exact", str, {}),
        ("semantic", _reworded, {}),
        ("first", str, {"cache-control": "no-store", "idempotency-key": f"{number}"}),
        ("replayed", str, {"cache-control": "no-store", "idempotency-key": f"{number}"}),
    )


def _reworded(question: str) -> str:
    return f"Please, {question[0].lower()}{question[1:]}"


def _named(headers: Mapping[str, str], question: str) -> dict[str, str]:
    named = dict(headers)
    if "idempotency-key" in named:
        named["idempotency-key"] += f"-{abs(hash(question))}"
    return named


def _ask(http: httpx.Client, question: str, headers: Mapping[str, str]) -> str:
    body = {"model": "default", "messages": [{"role": "user", "content": question}]}
    response = http.post("/v1/chat/completions", json=body, headers=dict(headers)).raise_for_status()
    return response.headers["x-sluice-cache"]


def _ingest(http: httpx.Client, name: str, text: str) -> None:
    document = {"id": name, "text": text, "media_type": "text/markdown"}
    http.post("/v1/knowledge/default/documents", json={"documents": [document]}).raise_for_status()


def _cpu(up: Running) -> float:
    """Seconds of CPU of all its processes."""
    top = psutil.Process(up.process.pid)
    return sum(sum(process.cpu_times()[:2]) for process in (top, *top.children(recursive=True)))


if __name__ == "__main__":
    main()
