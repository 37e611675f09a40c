"""Runs that went on, and runs that were made of others, from their events."""

import json

from sluice_api.objects.pipeline import Audit
from sluice_gateway.domain.run import Descendant, Event, EventKind, Origin, RunState, fold
from sluice_gateway.durable.recording import StandardRecorder
from sluice_gateway.http.runs import view_body
from sluice_gateway.run_control import RunView
from support.run_bench import Clock, Memory


def _event(kind: EventKind, at: float = 1.0, detail: object = None, **more: object) -> Event:
    return Event("run", "acme", kind, at, "default", detail=json.dumps(detail) if detail else "", **more)


STARTED = _event(
    EventKind.RUN_STARTED, detail={"executor": "standard", "forked_from": "old", "from_step": "rerank"}
)
ENDED = _event(EventKind.RUN_ENDED, 3.0, state="failed", reason="generate: UNAVAILABLE")


def test_run_says_where_it_comes_from():
    record = fold([STARTED])
    assert (record.executor, record.origin) == ("standard", Origin("old", "forked", "rerank"))
    assert fold([_event(EventKind.RUN_STARTED)]).executor == "express"


def test_run_says_which_arm_it_went_to():
    assigned = {"name": "press", "arm": "r2", "model_name": "press-r2", "bucket": 7, "how": "dealt"}
    record = fold([_event(EventKind.RUN_STARTED, detail={"experiment": assigned}), ENDED])
    assert (record.experiment, record.arm) == ("press", "r2")
    body = view_body(RunView(record, None))
    assert (body["experiment"], body["arm"]) == ("press", "r2")
    plain = view_body(RunView(fold([STARTED]), None))
    assert (plain["experiment"], plain["arm"]) == (None, None)


def test_run_that_is_resumed_goes_on_and_ends_again():
    resumed = [STARTED, ENDED, _event(EventKind.RUN_RESUMED, 4.0)]
    record = fold(resumed)
    assert (record.state, record.reason, record.ended, record.resumed) == (RunState.RUNNING, "", None, 1)
    record = fold([*resumed, _event(EventKind.RUN_ENDED, 5.0, state="answered")])
    assert (record.state, record.ended) == (RunState.ANSWERED, 5.0)


def test_run_that_ended_says_what_was_made_of_it_and_stays_as_it_ended():
    turned = _event(
        EventKind.RUN_OVERRIDDEN,
        9.0,
        {"overridden_by": "new", "actor": "grace"},
        step="guard_input",
        decision="allow",
        reason="a drill",
    )
    record = fold([STARTED, ENDED, turned])
    assert (record.state, record.ended) == (RunState.FAILED, 3.0)
    assert record.descendants == (
        Descendant("new", "overridden", "guard_input", "allow", "a drill", "grace", 9.0),
    )


def _recorded(*before: Event) -> list[EventKind]:
    journal = Memory()
    recorder = StandardRecorder(journal, Clock(), "run", "acme", "default", Audit.REQUIRED, before)
    recorder.run_started("How long?", {})
    recorder.run_ended(RunState.ANSWERED)
    return [event.kind for event in journal.events]


def test_every_execution_but_the_first_says_that_the_run_goes_on():
    resumed = _event(EventKind.RUN_RESUMED)
    step = _event(EventKind.STEP_STARTED, step="generate", state="running")
    assert _recorded() == [EventKind.RUN_STARTED, EventKind.RUN_ENDED]
    assert _recorded(STARTED, step) == [EventKind.RUN_RESUMED, EventKind.RUN_ENDED]
    assert _recorded(STARTED, ENDED, resumed) == [EventKind.RUN_ENDED]  # whoever resumed it has said so
    assert _recorded(STARTED, ENDED, resumed, step) == [EventKind.RUN_RESUMED, EventKind.RUN_ENDED]


def test_execution_of_a_run_that_has_ended_says_nothing_more():
    assert _recorded(STARTED, ENDED) == []
