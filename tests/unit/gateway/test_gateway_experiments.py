"""Runs in an experiment: which model writes them, what the journal and those who observe are told, and how often."""

import asyncio
import json
from contextlib import suppress
from dataclasses import replace

import pytest

from sluice_api.objects.guardrail_policy import StreamingMode
from sluice_gateway.domain.model import Decision, Finish, Message, Principal, Report, RunRequest, Usage
from sluice_gateway.domain.observing import EndedRun
from sluice_gateway.domain.outcome import RunFailedError, RunResult
from sluice_gateway.domain.run import Event, EventKind, RunState, fold
from sluice_gateway.http import completions
from sluice_servicekit.errors import PermissionDenied, Unavailable
from support.experiments import experiment
from support.run_bench import Bench, Memory, verdict

REQUEST = RunRequest("default", Principal("acme"), (Message("user", "How long?"),))


class Told:
    """Remembers what it is told."""

    def __init__(self) -> None:
        self.runs: list[EndedRun] = []

    def run_ended(self, ended: EndedRun) -> None:
        self.runs.append(ended)


class Failing(Memory):
    """A journal that cannot be made durable."""

    async def commit(self) -> None:
        raise Unavailable("the disk is full", reason="JOURNAL_UNAVAILABLE")


class Slow(Memory):
    """A journal whose commits do not end."""

    def __init__(self) -> None:
        super().__init__()
        self.committing = asyncio.Event()

    async def commit(self) -> None:
        self.committing.set()
        await asyncio.Event().wait()


def _bench(told: Told, **changes: object) -> Bench:
    return Bench(
        **{"model_name": "support", "experiments": {"trial": experiment()}, "observers": [told], **changes}
    )


def _user(arm: str) -> RunRequest:
    """A request of a user of an arm."""
    admit = _bench(Told()).executor().admit
    asked = (replace(REQUEST, user=f"user-{number}") for number in range(100))
    return next(request for request in asked if admit(request).assignment.arm == arm)


@pytest.mark.parametrize(("arm", "model"), [("base", ""), ("new", "support-r2")])
async def test_arms_model_writes_and_everybody_is_told(arm: str, model: str):
    told = Told()
    bench = _bench(told)
    bench.world.finish = Finish("stop", Usage(7, 3))
    report = Report("groundedness", "1", "1", "scanned", 0.25, 0.5, Decision.ALLOW, 1.0)
    bench.world.output_verdict = replace(verdict(), reports=(report,))
    run = bench.executor().admit(_user(arm))
    result = await run.result()
    assert bench.world.prompt.step.model_name == model
    assert (result.experiment, result.arm, run.assignment.arm) == ("trial", arm, arm)
    extension = completions.extension(result)
    assert (extension["experiment"], extension["arm"]) == ("trial", arm)
    [ended] = told.runs
    assert (ended.experiment, ended.arm, ended.model_name, ended.counted) == ("trial", arm, model, True)
    assert (ended.state, ended.groundedness, ended.usage) == (RunState.ANSWERED, 0.75, Usage(7, 3))
    detail = json.loads(bench.journal.events[0].detail)["experiment"]
    assert (detail["name"], detail["arm"], detail["model_name"], detail["unit"]) == (
        "trial",
        arm,
        model,
        "user",
    )
    assert detail["bucket"] == run.assignment.bucket
    assert "user-" not in str(bench.journal.events)


async def test_run_without_an_experiment_says_nothing_of_one():
    told = Told()
    bench = _bench(told, experiments={})
    result = await bench.executor().admit(REQUEST).result()
    assert (result.experiment, result.arm, told.runs[0].experiment) == ("", "", "")
    assert "arm" not in completions.extension(result)
    assert json.loads(bench.journal.events[0].detail) == {"pipeline_version": "1"}
    assert bench.world.prompt.step.model_name == "support"


async def test_pinned_run_is_told_as_one_that_does_not_count():
    told = Told()
    bench = _bench(told)
    admin = replace(_user("base"), principal=Principal("acme", "root", ("admin",)), arm="new")
    assert (await bench.executor().admit(admin).result()).arm == "new"
    assert (told.runs[0].arm, told.runs[0].counted) == ("new", False)
    with pytest.raises(PermissionDenied):
        bench.executor().admit(replace(REQUEST, arm="new"))


async def test_answer_that_a_gate_withholds_has_its_groundedness_and_gate():
    told = Told()
    bench = _bench(told)
    report = Report("groundedness", "1", "1", "scanned", 0.9, 0.5, Decision.BLOCK, 1.0)
    bench.world.output_verdict = replace(verdict(Decision.BLOCK), reports=(report,))
    result = await bench.executor().admit(_user("new")).result()
    assert (result.state, result.arm) == (RunState.BLOCKED, "new")
    assert (told.runs[0].blocked_at, told.runs[0].groundedness) == ("guard_output", pytest.approx(0.1))


async def test_answer_that_claims_nothing_has_no_groundedness():
    told = Told()
    bench = _bench(told)
    report = Report("groundedness", "1", "1", "scanned", 0.0, 0.5, Decision.ALLOW, 1.0)
    bench.world.output_verdict = replace(verdict(), reports=(report,))
    bench.world.finish = Finish("stop", unanswerable=True)
    await bench.executor().admit(REQUEST).result()
    assert told.runs[0].groundedness is None


@pytest.mark.parametrize("streaming", [StreamingMode.WITHHOLD, StreamingMode.WINDOW])
@pytest.mark.parametrize("decision", [Decision.ALLOW, Decision.BLOCK])
async def test_end_that_the_journal_does_not_take_is_told_once_and_as_a_failure(
    streaming: StreamingMode, decision: Decision
):
    told = Told()
    bench = _bench(told, journal=Failing(), streaming=streaming)
    bench.world.output_verdict = verdict(decision)
    with pytest.raises((RunFailedError, Unavailable)):
        await bench.executor().admit(replace(REQUEST, stream=True)).result()
    assert [(each.state, each.reason) for each in told.runs] == [
        (RunState.FAILED, "journal: JOURNAL_UNAVAILABLE")
    ]


async def test_failed_run_that_the_journal_does_not_take_is_told_once():
    told = Told()
    bench = _bench(told, journal=Failing(), retries=0)
    bench.world.fail["generate"] = [Unavailable("gone")]
    with pytest.raises((RunFailedError, Unavailable)):
        await bench.executor().admit(REQUEST).result()
    assert [each.state for each in told.runs] == [RunState.FAILED]


async def test_caller_who_leaves_at_the_commit_is_told_of_once():
    told, journal = Told(), Slow()
    bench = _bench(told, journal=journal)
    answering = asyncio.create_task(bench.executor().admit(REQUEST).result())
    await journal.committing.wait()
    answering.cancel()
    with suppress(asyncio.CancelledError):
        await answering
    assert [each.state for each in told.runs] == [RunState.ANSWERED]


async def test_caller_who_stops_reading_after_the_end_is_told_of_once():
    told = Told()
    events = _bench(told).executor().admit(replace(REQUEST, stream=True)).events()
    async for event in events:
        if isinstance(event, RunResult):
            break
    await events.aclose()
    assert [each.state for each in told.runs] == [RunState.ANSWERED]


def _event(kind: EventKind, at: float, **more: str) -> Event:
    return Event("run-1", "acme", kind, at, pipeline="default", **more)


@pytest.mark.parametrize("at", [0.5, 1.5, 9.0])
def test_feedback_changes_nothing_of_a_run(at: float):
    started = _event(EventKind.RUN_STARTED, 1.0, state="running")
    ended = _event(EventKind.RUN_ENDED, 2.0, state="answered")
    events = sorted(
        (started, ended, _event(EventKind.FEEDBACK, at, detail='{"rating":1.0}')), key=lambda event: event.at
    )
    assert fold(events) == fold([started, ended])
