"""What the journal costs a run, and how fast it is verified: SQLite and PostgreSQL, in turns, in one process.

    .venv/bin/python bench/journal.py [--runs 3000] [--rows 200000]

A run is the 14 events of an answered question, their details as long as real ones. Times:

    append      all of a run's events, as the run itself pays for them; the budget is 0.1 ms at p50
    CPU         of the whole process, the writer's thread included, for each run
    commit      the wait before an answer leaves, one run at a time, and with 32 at once
    verify      rows a second of `sluice audit verify`, without starting Python; and rows a second of this process's
                CPU, where the machine does other things too

PostgreSQL is the machine's own, with its defaults: fsync on. Rounds alternate, and the better of them is shown beside
all: what else the machine does only makes it slower.
"""

import argparse
import asyncio
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from rich.console import Console
from rich.table import Table

from sluice_gateway.audit import audit
from sluice_gateway.domain.run import Event, EventKind, RunState, StepState
from sluice_gateway.gateway import new_run_id
from sluice_gateway.journal.postgres import PostgresJournal
from sluice_gateway.journal.sqlite import SqliteJournal

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from support import postgres

_STEPS = ("guard_input", "retrieve", "rerank", "guard_passages", "generate", "guard_output")

#: As long as what gates and retrieval say of themselves, on average.
_DETAIL = (
    '{"policy":"default","detectors":[' + ",".join(['{"detector":"prompt-injection","ms":1.25}'] * 12) + "]}"
)

_ROUNDS = 5
_BUDGET = 0.1
_AT_ONCE = 32

_Journal = PostgresJournal | SqliteJournal


@dataclass
class Costs:
    """Of one kind of journal: each round's."""

    append: list[float] = field(default_factory=list)
    append_p99: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    commit: list[float] = field(default_factory=list)
    busy: list[float] = field(default_factory=list)
    rate: list[float] = field(default_factory=list)
    verify: float = 0.0
    verify_cpu: float = 0.0


def run_of() -> list[Event]:
    run_id, now = new_run_id(), time.time()
    start = Event(run_id, "acme", EventKind.RUN_STARTED, now, "default", state=RunState.RUNNING, detail="{}")
    events = [start]
    for step in _STEPS:
        begun = replace(start, kind=EventKind.STEP_STARTED, step=step, attempt=1, detail="")
        events += [
            begun,
            replace(begun, kind=EventKind.STEP_ENDED, state=StepState.SUCCEEDED, detail=_DETAIL),
        ]
    return [*events, replace(start, kind=EventKind.RUN_ENDED, state=RunState.ANSWERED, detail="")]


async def measure(journal: _Journal, runs: int, costs: Costs) -> None:
    made = [run_of() for _ in range(runs)]
    times: list[float] = []
    cpu, begun = time.process_time(), time.perf_counter()
    for number, events in enumerate(made):
        started = time.perf_counter()
        for event in events:
            journal.append(event)
        times.append(time.perf_counter() - started)
        if number % 20 == 19:  # as fast as a busy gateway asks, and no faster than a queue holds
            await journal.commit()
    await journal.commit()
    costs.cpu.append((time.process_time() - cpu) / runs * 1000)
    costs.rate.append(runs / (time.perf_counter() - begun))
    costs.append.append(statistics.median(times) * 1000)
    costs.append_p99.append(statistics.quantiles(times, n=100)[98] * 1000)
    costs.commit.append(statistics.median(await _commits(journal, made[:200])) * 1000)
    waits = await asyncio.gather(
        *(_commits(journal, made[number::_AT_ONCE][:30]) for number in range(_AT_ONCE))
    )
    costs.busy.append(statistics.median(wait for each in waits for wait in each) * 1000)


async def _commits(journal: _Journal, made: Sequence[Sequence[Event]]) -> list[float]:
    waits = []
    for events in made:
        run_id = new_run_id()
        for event in events:
            journal.append(replace(event, run_id=run_id))
        started = time.perf_counter()
        await journal.commit()
        waits.append(time.perf_counter() - started)
    return waits


async def fill(journal: _Journal, rows: int) -> None:
    for number in range(rows // len(run_of())):
        for event in run_of():
            journal.append(event)
        if number % 200 == 0:
            await journal.commit()
    await journal.commit()


def verified(folder: Path, url: str) -> tuple[float, float]:
    """Rows a second, and rows a second of CPU."""
    started, cpu = time.perf_counter(), time.process_time()
    report = audit(folder, url=url)
    assert report.passed
    return report.rows / (time.perf_counter() - started), report.rows / (time.process_time() - cpu)


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--runs", type=int, default=3000, help="for each round")
    parser.add_argument("--rows", type=int, default=200_000, help="to verify")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, postgres.server(durable=True) as server:
        url = server.new_database()
        folder = Path(name)
        urls = {"SQLite": "", "PostgreSQL": url}
        makers: dict[str, Callable[[], _Journal]] = {
            "SQLite": lambda: SqliteJournal(folder / "SQLite", "bench"),
            "PostgreSQL": lambda: PostgresJournal(url, folder / "PostgreSQL", "bench"),
        }
        costs = {kind: Costs() for kind in makers}
        journals = {kind: make() for kind, make in makers.items()}
        for _ in range(_ROUNDS):
            for kind, journal in journals.items():
                await measure(journal, asked.runs, costs[kind])
        for kind, journal in journals.items():
            await fill(journal, asked.rows)
            found = [verified(folder / kind, urls[kind]) for _ in range(3)]
            costs[kind].verify, costs[kind].verify_cpu = (max(rates) for rates in zip(*found, strict=True))
            journal.close()
    _print(costs)


def _print(costs: dict[str, Costs]) -> None:
    table = Table(title=f"A run of {len(run_of())} events; best of {_ROUNDS} rounds (all)")
    table.add_column("")
    for kind in costs:
        table.add_column(kind, justify="right")
    rows: dict[str, Callable[[Costs], Sequence[float]]] = {
        "append, p50 ms": lambda cost: cost.append,
        "append, p99 ms": lambda cost: cost.append_p99,
        "CPU, ms a run": lambda cost: cost.cpu,
        "commit waits, one at a time, p50 ms": lambda cost: cost.commit,
        f"commit waits, {_AT_ONCE} at once, p50 ms": lambda cost: cost.busy,
    }
    for label, of in rows.items():
        table.add_row(label, *(f"{min(of(cost)):.3f} ({_all(of(cost))})" for cost in costs.values()))
    table.add_row("runs a second", *(f"{max(cost.rate):,.0f}" for cost in costs.values()))
    table.add_row("verify, rows a second", *(f"{cost.verify:,.0f}" for cost in costs.values()))
    table.add_row("verify, rows a second of CPU", *(f"{cost.verify_cpu:,.0f}" for cost in costs.values()))
    Console(width=120).print(table)
    for kind, cost in costs.items():
        kept = min(cost.append) <= _BUDGET
        print(
            f"{kind}: append {min(cost.append):.3f} ms, budget {_BUDGET} ms: {'kept' if kept else 'MISSED'}"
        )


def _all(values: Sequence[float]) -> str:
    return " ".join(f"{value:.2f}" for value in values)


if __name__ == "__main__":
    asyncio.run(main())
