"""Durable runs with the real engine: started, cancelled, resumed, forked, overridden, promoted."""

import asyncio
import json
import time
from pathlib import Path

import pytest

from sluice_api.objects.pipeline import Payloads
from sluice_gateway.domain.model import Decision
from sluice_gateway.domain.outcome import RunFailedError
from sluice_gateway.domain.run import Origin, RunState, StepState
from sluice_gateway.durable import execution, leases, recovery
from sluice_gateway.durable.port import WrongState
from sluice_gateway.payloads.port import PayloadNotRetained
from sluice_servicekit.errors import InvalidArgument, Unavailable
from support.durable import STEPS, TENANT, MessageWorld, durable, names, pipeline, question
from support.run_bench import verdict


async def test_run_in_the_background_answers_as_express_does(tmp_path: Path):
    world = MessageWorld()
    async with durable(tmp_path, world) as bench:
        run_id = await bench.start()
        record = await bench.ended(run_id)
        result = await bench.runs.result(TENANT, run_id)
        express = await bench.executor.admit(question()).result()
    assert (record.state, record.executor, record.resumed) == (RunState.ANSWERED, "standard", 0)
    assert names(record) == list(STEPS)
    assert result is not None
    assert (result.run_id, result.text, result.citations) == (run_id, express.text, express.citations)
    assert world.calls == [*STEPS, *STEPS]


async def test_finished_steps_are_not_run_again_when_a_run_goes_on(tmp_path: Path):
    world = MessageWorld()
    world.wait["generate"] = 60
    async with durable(tmp_path, world) as bench:
        run_id = await bench.start()
        await world.called["generate"].wait()
    world.wait["generate"] = 0
    async with durable(tmp_path, world) as bench:
        record = await bench.ended(run_id)
        assert (record.state, record.resumed) == (RunState.ANSWERED, 1)
        assert await bench.runs.result(TENANT, run_id) is not None
    assert world.calls == [*STEPS[:4], "generate", *STEPS[4:]]


async def test_cancel_ends_a_run_at_once_and_resume_goes_on_with_it(tmp_path: Path):
    world = MessageWorld()
    world.wait["rerank"] = 60
    async with durable(tmp_path, world, spec=pipeline(rerank={"timeout": "90s"})) as bench:
        run_id = await bench.start()
        await world.called["rerank"].wait()
        await bench.runs.cancel(TENANT, run_id, "ada")
        record = await bench.record(run_id)
        assert (record.state, record.reason) == (RunState.CANCELLED, "cancelled by ada")
        with pytest.raises(WrongState):
            await bench.runs.cancel(TENANT, run_id, "ada")
        world.wait["rerank"] = 0
        await bench.runs.resume(TENANT, run_id, "ada")
        record = await bench.ended(run_id)
        assert (record.state, record.resumed) == (RunState.ANSWERED, 1)
        with pytest.raises(WrongState, match="answered"):
            await bench.runs.resume(TENANT, run_id, "ada")
    assert world.calls == [*STEPS[:2], "rerank", *STEPS[2:]]


async def test_run_that_failed_is_resumed_from_the_step_that_failed(tmp_path: Path):
    world = MessageWorld()
    world.fail["generate"] = [Unavailable("gone")]
    async with durable(tmp_path, world) as bench:
        run_id = await bench.start()
        record = await bench.ended(run_id)
        assert (record.state, record.reason) == (RunState.FAILED, "generate: UNAVAILABLE")
        await bench.runs.resume(TENANT, run_id, "ada")
        record = await bench.ended(run_id)
        assert record.state is RunState.ANSWERED
    assert world.calls == [*STEPS[:4], "generate", *STEPS[4:]]


async def test_fork_takes_over_what_comes_before_the_step(tmp_path: Path):
    world = MessageWorld()
    async with durable(tmp_path, world) as bench:
        first = await bench.start()
        await bench.ended(first)
        world.pieces = ("It is ", "fifty [1].")
        made = await bench.runs.fork(TENANT, first, "generate", "ada")
        record = await bench.ended(made.run_id)
        result = await bench.runs.result(TENANT, made.run_id)
        assert result is not None
        assert result.text.startswith("It is fifty")
        assert record.origin == Origin(first, "forked", "generate")
        assert [step.state for step in record.steps] == [StepState.SKIPPED] * 4 + [StepState.SUCCEEDED] * 2
        [descendant] = (await bench.record(first)).descendants
        assert (descendant.run_id, descendant.how, descendant.actor) == (made.run_id, "forked", "ada")
        with pytest.raises(InvalidArgument, match="it has: guard_input, retrieve"):
            await bench.runs.fork(TENANT, first, "translate", "ada")
    assert world.calls == [*STEPS, *STEPS[4:]]


@pytest.mark.parametrize("gate", ["guard_input", "guard_passages", "guard_output"])
async def test_express_run_that_a_gate_blocked_goes_on_once_the_gate_is_overridden(tmp_path: Path, gate: str):
    world = MessageWorld()
    field = {"guard_input": "input_verdict", "guard_passages": "passages_verdict"}.get(gate, "output_verdict")
    setattr(world, field, verdict(Decision.BLOCK))
    async with durable(tmp_path, world) as bench:
        blocked = await bench.executor.admit(question()).result()
        assert blocked.state is RunState.BLOCKED
        calls = len(world.calls)
        made = await bench.runs.override(
            TENANT, blocked.run_id, gate, Decision.ALLOW, "a false alarm", "grace"
        )
        record = await bench.ended(made.run_id)
        assert record.state is RunState.ANSWERED
        assert record.origin == Origin(blocked.run_id, "overridden", gate)
        step = next(step for step in record.steps if step.name == gate)
        assert (step.decision, step.reason) == ("allow", "OVERRIDDEN")
        assert json.loads(step.detail)["would"] == "block"
        assert world.calls[calls:] == list(STEPS[STEPS.index(gate) :])
        [descendant] = (await bench.record(blocked.run_id)).descendants
        assert (descendant.run_id, descendant.how, descendant.step) == (made.run_id, "overridden", gate)
        assert (descendant.decision, descendant.reason, descendant.actor) == (
            "allow",
            "a false alarm",
            "grace",
        )
        assert (await bench.record(blocked.run_id)).state is RunState.BLOCKED


async def test_answer_is_blocked_afterwards(tmp_path: Path):
    world = MessageWorld()
    async with durable(tmp_path, world) as bench:
        first = await bench.start()
        await bench.ended(first)
        made = await bench.runs.override(
            TENANT, first, "guard_output", Decision.BLOCK, "it is wrong", "grace"
        )
        record = await bench.ended(made.run_id)
        result = await bench.runs.result(TENANT, made.run_id)
    assert (record.state, record.reason) == (RunState.BLOCKED, "OVERRIDDEN")
    assert result is not None
    assert "forty" not in result.text
    assert world.calls == list(STEPS)


async def test_failed_express_run_is_promoted_with_what_it_had_finished(tmp_path: Path):
    world = MessageWorld()
    world.fail["generate"] = [Unavailable("gone")]
    async with durable(tmp_path, world, spec=pipeline(promote=True)) as bench:
        with pytest.raises(RunFailedError) as raised:
            await bench.executor.admit(question()).result()
        failed = raised.value
        made = await bench.runs.promote(TENANT, failed.run_id, failed.step)
        record = await bench.ended(made.run_id)
        assert record.state is RunState.ANSWERED
        assert record.origin == Origin(failed.run_id, "promoted", "generate")
    assert world.calls == [*STEPS[:4], "generate", *STEPS[4:]]


async def test_what_is_not_kept_cannot_be_had_again(tmp_path: Path):
    world = MessageWorld()
    async with durable(tmp_path, world, spec=pipeline(payloads=Payloads.NONE)) as bench:
        with pytest.raises(PayloadNotRetained):
            await bench.start()
        world.input_verdict = verdict(Decision.BLOCK)
        blocked = await bench.executor.admit(question()).result()
        with pytest.raises(PayloadNotRetained):
            await bench.runs.override(TENANT, blocked.run_id, "guard_input", Decision.ALLOW, "why", "grace")
        with pytest.raises(PayloadNotRetained):
            await bench.runs.fork(TENANT, blocked.run_id, "guard_input", "grace")


async def test_nothing_is_turned_once_the_key_of_a_run_is_due(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    world = MessageWorld()
    world.input_verdict = verdict(Decision.BLOCK)
    async with durable(tmp_path, world) as bench:
        blocked = await bench.executor.admit(question()).result()
        assert (await bench.runs.asked_by(TENANT, blocked.run_id)).subject
        a_day_later = time.time() + bench.spec.payload_retention
        monkeypatch.setattr(bench.payloads, "_now", lambda: a_day_later)
        with pytest.raises(PayloadNotRetained):
            await bench.runs.override(TENANT, blocked.run_id, "guard_input", Decision.ALLOW, "why", "grace")
        with pytest.raises(PayloadNotRetained):
            await bench.runs.fork(TENANT, blocked.run_id, "guard_input", "grace")


async def test_run_whose_payloads_are_destroyed_ends_and_says_so(tmp_path: Path):
    world = MessageWorld()
    world.wait["retrieve"] = 60
    async with durable(tmp_path, world, spec=pipeline(retrieve={"timeout": "90s"})) as bench:
        run_id = await bench.start()
        await world.called["retrieve"].wait()
        await bench.payloads.destroy(TENANT, run_id)
    async with durable(tmp_path, world) as bench:
        record = await bench.ended(run_id)
        assert (record.state, record.reason) == (RunState.FAILED, "run: PAYLOAD_NOT_RETAINED")
        with pytest.raises(PayloadNotRetained):
            await bench.runs.resume(TENANT, run_id, "ada")


async def test_same_id_is_the_same_run(tmp_path: Path):
    world = MessageWorld()
    async with durable(tmp_path, world) as bench:
        plan = bench.executor.plan(question(), "run")
        run_id = "018f0000-0000-7000-8000-000000000001"
        await asyncio.gather(*(bench.runs.start(plan, run_id) for _ in range(3)))
        await bench.ended(run_id)
        await bench.runs.start(plan, run_id)
        await bench.ended(run_id)
    assert world.calls == list(STEPS)


async def test_run_that_was_kept_by_another_version_runs_what_it_has_not_finished(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Its steps are taken over by name, since the other version may have had them in another order."""
    for module in (leases, recovery):
        monkeypatch.setattr(module, "LEASE", 0.5)
    monkeypatch.setattr(recovery, "RENEWAL", 0.2)
    world = MessageWorld()
    world.wait["generate"] = 60
    async with durable(tmp_path, world, version="0") as bench:
        run_id = await bench.start()
        await world.called["generate"].wait()
    world.wait["generate"] = 0
    async with durable(tmp_path, world, version="1") as bench:
        assert await bench.runs.wait(run_id, 30)
        record = await bench.record(run_id)
    assert record.state is RunState.ANSWERED
    assert world.calls == [*STEPS[:4], "generate", *STEPS[4:]]


async def test_run_that_cannot_keep_what_it_gave_is_executed_again_and_runs_no_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    world = MessageWorld()
    async with durable(tmp_path, world) as bench:
        keep, fails = bench.payloads.keep, [Unavailable("away")]

        async def failing(tenant: str, run_id: str, name: str, *more: object, **options: object) -> str:
            if name == "result" and fails:
                raise fails.pop()
            return await keep(tenant, run_id, name, *more, **options)

        monkeypatch.setattr(bench.payloads, "keep", failing)
        run_id = await bench.start()
        record = await bench.ended(run_id)
        assert await bench.runs.result(TENANT, run_id) is not None
        events = [event.kind for event in await bench.journal.events(run_id)]
    assert (record.state, fails) == (RunState.ANSWERED, [])
    assert events.count("run_ended") == 1
    assert world.calls == list(STEPS)


async def test_run_that_is_taken_up_again_and_again_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(execution, "MAX_RESUMED", 1)
    world = MessageWorld()
    world.wait["generate"] = 60
    async with durable(tmp_path, world) as bench:
        run_id = await bench.start()
        await world.called["generate"].wait()
    world.called["generate"].clear()
    async with durable(tmp_path, world):
        await world.called["generate"].wait()
    async with durable(tmp_path, world) as bench:
        record = await bench.ended(run_id)
    assert (record.state, record.reason) == (RunState.FAILED, "run: RESUMED_TOO_OFTEN")
