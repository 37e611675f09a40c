"""Statistics and feedback in the gateway's database, on SQLite and on a real PostgreSQL."""

import asyncio
import json
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import func, select

from sluice_api.objects.adapter_experiment import Metric
from sluice_api.objects.pipeline import Payloads, PipelineSpec
from sluice_api.objects.steps import GenerateStep, Steps
from sluice_api.snapshot import CompiledPipeline, Snapshot
from sluice_gateway.domain.clock import SystemClock
from sluice_gateway.domain.experimenting.outcomes import Outcomes
from sluice_gateway.domain.model import Principal, Usage
from sluice_gateway.domain.observing import EndedRun
from sluice_gateway.domain.outcome import ADMIT
from sluice_gateway.domain.run import Event, EventKind, RunState
from sluice_gateway.experiments.collecting import OutcomeCollector, collecting
from sluice_gateway.experiments.feedback import Feedback, Opinion
from sluice_gateway.experiments.reporting import Experiments
from sluice_gateway.experiments.store import STRETCH, Cell, OutcomeStore, Rating
from sluice_gateway.experiments.tables import FEEDBACK, OUTCOMES
from sluice_gateway.journal.sqlite import SqliteJournal
from sluice_gateway.payloads.memory import MemoryPayloads
from sluice_gateway.payloads.port import PayloadNotRetained
from sluice_gateway.storage.database import Database
from sluice_servicekit.errors import InvalidArgument, NotFound, PermissionDenied, Unavailable
from support.experiments import MODELS, experiment

BOTH = [pytest.param("sqlite"), pytest.param("postgres", marks=pytest.mark.needs("postgres"))]
ADMIN = Principal("ops", "operator", ("admin",))
NORA = Principal("acme", "nora", ("reader",))
NOW = 1_800_000_000.0

RUN = EndedRun(
    "run",
    Principal("acme"),
    "default",
    "1",
    RunState.ANSWERED,
    "",
    0.2,
    Usage(10, 4),
    experiment="trial",
    arm="base",
)
NEW = replace(RUN, arm="new", model_name="support-r2")


@pytest.fixture(params=BOTH)
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    url = request.getfixturevalue("postgres_url") if request.param == "postgres" else ""
    opened = Database(tmp_path, url)
    yield opened
    opened.close()


async def _count(database: Database, table: object) -> int:
    return await database.run(
        lambda connection: connection.execute(select(func.count()).select_from(table)).scalar_one()
    )


async def test_two_replicas_add_up_and_a_write_that_is_repeated_counts_once(database: Database):
    stores = [OutcomeStore(database, name) for name in ("a", "b")]
    collectors = [OutcomeCollector(store, lambda: NOW) for store in stores]
    for number in range(30):
        collectors[number % 2].run_ended(RUN)
        collectors[0].run_ended(replace(NEW, state=RunState.FAILED, reason="generate: UPSTREAM_BUSY"))
        if number % 10 == 0:
            await asyncio.gather(*(collector.flush() for collector in collectors))
    await asyncio.gather(*(collector.flush() for collector in collectors for _ in range(3)))
    found = await stores[1].read("trial", MODELS, 0)
    assert (found["base"].requests, found["base"].seconds.count, found["base"].completion_tokens.mean) == (
        30,
        30,
        4,
    )
    assert (found["new"].requests, found["new"].errors) == (30, {"UPSTREAM_BUSY": 30})
    assert await _count(database, OUTCOMES) == 3  # one for each arm and replica that had any


async def test_arm_has_the_outcomes_of_the_model_that_it_has_now(database: Database):
    store = OutcomeStore(database, "a")
    await store.write(
        {Cell("trial", "new", model, 0): Outcomes(requests=5).as_json() for model in ("old", "support-r2")}
    )
    assert (await store.read("trial", MODELS, 0))["new"].requests == 5
    assert (await store.read("other", MODELS, 0))["new"].requests == 0


async def test_outcomes_are_read_from_a_time_on_and_dropped_when_old(database: Database):
    now = [NOW]
    store = OutcomeStore(database, "a")
    collector = OutcomeCollector(store, lambda: now[0])
    for _ in range(3):
        collector.run_ended(RUN)
        await collector.flush()
        now[0] += STRETCH
    requests = [
        (await store.read("trial", MODELS, NOW + STRETCH * back))["base"].requests for back in (0, 1, 2, 3)
    ]
    assert requests == [3, 2, 1, 0]
    await store.prune(NOW + STRETCH + 90 * 86400)
    assert (await store.read("trial", MODELS, 0))["base"].requests == 2


async def test_write_whose_caller_is_gone_never_comes_after_a_later_one(tmp_path: Path):
    class Slow(OutcomeStore):
        """Its first write is slow and, as in a thread, goes on whatever becomes of who waits for it."""

        first: asyncio.Task[None] | None = None

        async def write(self, cells: object) -> None:
            if self.first is not None:
                await super().write(cells)
                return
            self.first = asyncio.create_task(self._late(cells))
            begun.set()
            await asyncio.shield(self.first)

        async def _late(self, cells: object) -> None:
            await go_on.wait()
            await super().write(cells)

    begun, go_on = asyncio.Event(), asyncio.Event()
    database = Database(tmp_path)
    store = Slow(database, "a")
    collector = OutcomeCollector(store, lambda: NOW)
    collector.run_ended(RUN)
    leaving = asyncio.create_task(collector.flush())
    await begun.wait()
    leaving.cancel()
    collector.run_ended(RUN)
    later = asyncio.create_task(collector.flush())
    await asyncio.wait({later}, timeout=0.3)  # time to overtake, if it would
    go_on.set()
    await asyncio.gather(later, store.first)
    assert (await store.read("trial", MODELS, 0))["base"].requests == 2
    database.close()


async def test_clock_that_goes_back_costs_nothing(tmp_path: Path):
    database, now = Database(tmp_path), [NOW + STRETCH - 1.0]
    store = OutcomeStore(database, "a")
    collector = OutcomeCollector(store, lambda: now[0])
    for step in (2.0, -1.5, 0.0):
        collector.run_ended(RUN)
        await collector.flush()
        now[0] += step
        await collector.flush()
    assert (await store.read("trial", MODELS, 0))["base"].requests == 3
    database.close()


async def test_what_is_not_written_when_the_database_is_away_is_written_later(tmp_path: Path):
    class Away(OutcomeStore):
        away = True

        async def write(self, cells: object) -> None:
            if self.away:
                raise Unavailable("away")
            await super().write(cells)

    database = Database(tmp_path)
    store = Away(database, "a")
    collector = OutcomeCollector(store, lambda: NOW)
    for _ in range(2):
        collector.run_ended(RUN)
        with pytest.raises(Unavailable):
            await collector.flush()
    store.away = False
    async with collecting(collector):
        collector.run_ended(RUN)
    assert (await store.read("trial", MODELS, 0))["base"].requests == 3
    database.close()


async def test_what_waits_for_a_database_is_bounded(tmp_path: Path):
    database, now = Database(tmp_path), [NOW]
    collector = OutcomeCollector(OutcomeStore(database, "a"), lambda: now[0])
    for _ in range(520):
        collector.run_ended(RUN)
        now[0] += STRETCH
    await collector.flush()
    assert await _count(database, OUTCOMES) == 512
    database.close()


async def test_runs_that_say_nothing_of_an_arm_are_not_counted(database: Database):
    store = OutcomeStore(database, "a")
    collector = OutcomeCollector(store, lambda: NOW)
    collector.run_ended(replace(RUN, counted=False))
    collector.run_ended(replace(RUN, experiment="", arm=""))
    await collector.flush()
    assert await _count(database, OUTCOMES) == 0


async def test_last_rating_of_each_subject_counts(database: Database):
    store = OutcomeStore(database, "a")
    nora = Rating("run-1", "nora", "acme", "trial", "new", "support-r2", 7, NOW, 1.0)
    assert await store.rate(nora)
    assert not await store.rate(nora)
    assert await store.rate(replace(nora, rating=0.0))
    assert await store.rate(replace(nora, subject="otto", rating=0.8, unit_bucket=40))
    assert await store.rate(replace(nora, run_id="run-2", rating=0.5))
    assert await store.rate(replace(nora, run_id="run-3", model_name="old"))
    assert await store.rate(replace(nora, run_id="run-4", experiment=""))
    feedback = (await store.read("trial", MODELS, 0))["new"].feedback
    assert (feedback.values.count, feedback.up, feedback.down) == (3, 1, 1)
    assert (await store.read("trial", MODELS, 0))["new"].groups[Metric.FEEDBACK].sums == {
        7: (2, 0.5),
        8: (1, 0.8),
    }
    assert (feedback.values.mean, feedback.values.variance) == pytest.approx((1.3 / 3, 0.163333), abs=1e-6)
    assert (await store.read("trial", MODELS, NOW + STRETCH))["new"].feedback.values.count == 0


def _snapshot(payloads: Payloads = Payloads.SEALED) -> Snapshot:
    spec = PipelineSpec(
        knowledge_base_ref="default",
        guardrail_policy_ref="default",
        payloads=payloads,
        steps=Steps(generate=GenerateStep(model_server_ref="m")),
    )
    return Snapshot(
        pipelines={"default": CompiledPipeline(version="1", spec=spec)}, experiments={"trial": experiment()}
    )


def _started(run_id: str, how: str = "dealt", detail: str | None = None) -> Event:
    assigned = {
        "name": "trial",
        "arm": "new",
        "model_name": "support-r2",
        "unit": "user",
        "bucket": 7,
        "how": how,
    }
    said = json.dumps({"pipeline_version": "1", "experiment": assigned}) if detail is None else detail
    return Event(run_id, "acme", EventKind.RUN_STARTED, NOW, "default", state="running", detail=said)


class Bench:
    """Feedback on the runs of a journal."""

    def __init__(self, folder: Path, database: Database, payloads: Payloads = Payloads.SEALED) -> None:
        self.journal = SqliteJournal(folder / "journal", "a")
        self.store = OutcomeStore(database, "a")
        self.payloads = MemoryPayloads()
        self.feedback = Feedback(
            self.journal, self.store, lambda: _snapshot(payloads), SystemClock(), self.payloads
        )

    async def give(self, run_id: str, opinion: Opinion, who: Principal = NORA):
        await self.journal.commit()
        return await self.feedback.give(who, await self.journal.run(run_id), opinion)

    async def given(self, run_id: str) -> list[Event]:
        await self.journal.commit()
        return [event for event in await self.journal.events(run_id) if event.kind is EventKind.FEEDBACK]


@pytest.fixture
def bench(tmp_path: Path, database: Database) -> Iterator[Bench]:
    made = Bench(tmp_path, database)
    yield made
    made.journal.close()


async def test_feedback_goes_to_the_journal_and_to_the_arm(bench: Bench):
    bench.journal.append(_started("run-1"))
    opinion = Opinion(1.0, "Exactly what nora.quill@example.com asked.", ("helpful",))
    taken = await bench.give("run-1", opinion)
    assert (taken.experiment, taken.arm, taken.comment_kept) == ("trial", "new", True)
    [event] = await bench.given("run-1")
    assert json.loads(event.detail)["rating"] == 1.0
    assert json.loads(event.detail)["labels"] == ["helpful"]
    assert "nora" not in str(event)
    [name] = await bench.payloads.names("acme", "run-1")
    assert await bench.payloads.read("acme", "run-1", name) == opinion.comment.encode()

    await bench.give("run-1", opinion)
    assert len(await bench.given("run-1")) == 1  # said before
    await bench.give("run-1", Opinion(0.0))
    await bench.give("run-1", opinion)
    await bench.give("run-1", Opinion(0.0), Principal("acme", "otto"))
    assert [json.loads(event.detail)["rating"] for event in await bench.given("run-1")] == [
        1.0,
        0.0,
        1.0,
        0.0,
    ]
    feedback = (await bench.store.read("trial", MODELS, 0))["new"].feedback
    assert (feedback.values.count, feedback.up, feedback.down) == (2, 1, 1)


async def test_feedback_on_a_run_that_does_not_count_counts_nowhere(bench: Bench):
    runs = {
        "run-1": _started("run-1", "pinned"),
        "run-2": _started("run-2", detail='{"pipeline_version":"1"}'),
    }
    for run_id, event in runs.items():
        bench.journal.append(event)
        await bench.give(run_id, Opinion(1.0))
        assert len(await bench.given(run_id)) == 1
    assert (await bench.store.read("trial", MODELS, 0))["new"].feedback.values.count == 0


async def test_feedback_on_a_refused_question_is_refused(bench: Bench):
    bench.journal.append(_started("run-1", detail='{"key":"support-bot"}'))
    bench.journal.append(Event("run-1", "acme", EventKind.STEP_STARTED, NOW, step=ADMIT, attempt=1))
    with pytest.raises(InvalidArgument):
        await bench.give("run-1", Opinion(1.0))


async def test_comment_comes_too_late_when_the_runs_other_payloads_are_gone(bench: Bench):
    bench.journal.append(replace(_started("run-1"), at=time.time() - 86401))
    bench.journal.append(replace(_started("run-2"), at=time.time() - 86000))
    assert not (await bench.give("run-1", Opinion(1.0, "Well."))).comment_kept
    assert await bench.payloads.names("acme", "run-1") == []
    assert (await bench.give("run-2", Opinion(1.0, "Well."))).comment_kept


async def test_comment_is_kept_nowhere_where_the_pipeline_keeps_nothing(tmp_path: Path, database: Database):
    bench = Bench(tmp_path, database, Payloads.NONE)
    bench.journal.append(_started("run-1"))
    assert not (await bench.give("run-1", Opinion(1.0, "Well."))).comment_kept
    assert await bench.payloads.names("acme", "run-1") == []
    assert "Well" not in str(await bench.given("run-1"))
    assert await _count(database, FEEDBACK) == 1
    bench.journal.close()


async def test_feedback_is_taken_whole_or_not_at_all(bench: Bench, monkeypatch: pytest.MonkeyPatch):
    async def failing(*_: object) -> None:
        raise Unavailable("away")

    bench.journal.append(_started("run-1"))
    await bench.journal.commit()
    with monkeypatch.context() as broken:
        broken.setattr(bench.journal, "commit", failing)
        with pytest.raises(Unavailable):
            await bench.feedback.give(NORA, await bench.journal.run("run-1"), Opinion(1.0))
    assert (await bench.store.read("trial", MODELS, 0))["new"].feedback.values.count == 0
    with monkeypatch.context() as broken:
        broken.setattr(bench.store, "rate", failing)
        with pytest.raises(Unavailable):
            await bench.give("run-1", Opinion(0.5))
    await bench.give("run-1", Opinion(0.5))  # what the journal has already is not written twice
    assert [json.loads(event.detail)["rating"] for event in await bench.given("run-1")] == [1.0, 0.5]
    assert (await bench.store.read("trial", MODELS, 0))["new"].feedback.values.mean == 0.5


async def test_comment_on_a_run_whose_key_is_gone_is_not_kept(bench: Bench, monkeypatch: pytest.MonkeyPatch):
    async def gone(*_: object, **__: object) -> str:
        raise PayloadNotRetained("the key is gone")

    monkeypatch.setattr(bench.payloads, "keep", gone)
    bench.journal.append(_started("run-1"))
    assert not (await bench.give("run-1", Opinion(1.0, "Well."))).comment_kept
    assert (await bench.store.read("trial", MODELS, 0))["new"].feedback.up == 1


async def test_report_is_the_admins_and_fresh(bench: Bench):
    collector = OutcomeCollector(bench.store, lambda: NOW)
    experiments = Experiments(_snapshot, bench.store, collector, bench.feedback)
    for _ in range(40):
        collector.run_ended(RUN)
        collector.run_ended(NEW)
    report = await experiments.report(ADMIN, "trial")
    assert (report.outcomes["base"].requests, report.outcomes["new"].requests) == (40, 40)
    assert [str(each.metric) for each in report.comparisons] == [
        "errorRate",
        "blockRate",
        "degradedRate",
        "latency",
        "latency",
        "tokens",
    ]
    assert list(experiments.all(ADMIN)) == ["trial"]
    with pytest.raises(NotFound, match="no experiment 'x'; there is: trial"):
        await experiments.report(ADMIN, "x")
    for act in (lambda: experiments.all(NORA), lambda: experiments.one(NORA, "trial")):
        with pytest.raises(PermissionDenied):
            act()
