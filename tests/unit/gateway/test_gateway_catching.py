"""Where a run goes on when a step has failed for good: catches, deadlines of steps."""

import asyncio
import json
from collections.abc import AsyncGenerator

import pytest

from sluice_api.objects.guardrail_policy import StreamingMode
from sluice_api.objects.steps import FallbackStep, OnFail
from sluice_gateway.domain.model import Finish, Message, Principal, RunRequest
from sluice_gateway.domain.outcome import RunFailedError, RunResult
from sluice_gateway.domain.ports import Prompt
from sluice_gateway.domain.run import RunState, StepState
from sluice_servicekit import deadlines
from sluice_servicekit.errors import InvalidArgument, NotFound, PermissionDenied, ServiceError, Unavailable
from support.run_bench import Bench

WITHOUT_PASSAGES = {"retrieve": {"on_fail": OnFail.CATCH_GENERATE}}
SMALL = FallbackStep(model_server_ref="small", model_name="tiny", retries=0)


def _request(*, stream: bool = False) -> RunRequest:
    return RunRequest("default", Principal("acme"), (Message("user", "How long?"),), stream=stream)


async def _events(bench: Bench, *, stream: bool = False) -> list[str | RunResult]:
    return [event async for event in bench.executor().admit(_request(stream=stream)).events()]


def _falling_back(streaming: StreamingMode = StreamingMode.WITHHOLD, **changes: object) -> Bench:
    step = {"on_fail": "catch:small", "instructions": "Be brief.", "retries": 0}
    return Bench(
        policies={"generate": step},
        fallbacks={"small": SMALL.model_copy(update=changes)},
        streaming=streaming,
    )


@pytest.mark.parametrize("waits", [False, True])
async def test_retrieval_that_fails_is_answered_without_passages(waits: bool):
    bench = Bench(policies=WITHOUT_PASSAGES, retries=0)
    if waits:
        bench.policy = {"input": {"pii": {"action": "redact"}}}
    bench.world.fail["retrieve"] = [Unavailable("gone")]
    [*_, result] = await _events(bench)
    assert (result.state, result.citations) == (RunState.DEGRADED, ())
    assert bench.record.reason == "retrieve: UNAVAILABLE"
    assert bench.world.prompt.passages == ()
    assert bench.world.prompt.vectors is None
    assert bench.states == {
        "guard_input": StepState.SUCCEEDED,
        "retrieve": StepState.FAILED,
        "generate": StepState.SUCCEEDED,
        "guard_output": StepState.SUCCEEDED,
    }


@pytest.mark.parametrize("error", [InvalidArgument("no such field"), PermissionDenied("not yours")])
async def test_wrong_request_is_never_caught(error: ServiceError):
    bench = Bench(policies=WITHOUT_PASSAGES)
    bench.world.fail["retrieve"] = [error]
    with pytest.raises(RunFailedError) as raised:
        await _events(bench)
    assert raised.value.error is error
    bench = _falling_back()
    bench.world.fail["generate"] = [error]
    with pytest.raises(RunFailedError):
        await _events(bench)
    assert bench.world.calls.count("generate") == 1


@pytest.mark.parametrize("mode", list(StreamingMode))
async def test_fallback_that_cannot_do_what_is_asked_for_is_not_what_is_wrong(mode: StreamingMode):
    bench = _falling_back(mode)
    unable = InvalidArgument("tools need a model", reason="UNSUPPORTED_VALUE")
    bench.world.fail["generate"] = [Unavailable("gone"), unable]
    with pytest.raises(RunFailedError) as raised:
        await _events(bench, stream=True)
    assert (raised.value.step, raised.value.error.reason) == ("generate", "UNAVAILABLE")
    assert bench.world.calls.count("generate") == 2


@pytest.mark.parametrize("mode", list(StreamingMode))
async def test_question_that_is_too_long_goes_to_a_fallback_with_more_room(mode: StreamingMode):
    bench = _falling_back(mode)
    too_long = InvalidArgument("9000 tokens", reason="PROMPT_TOO_LONG")
    bench.world.fail["generate"] = [too_long]
    events = await _events(bench, stream=True)
    assert (events[-1].state, bench.record.reason) == (RunState.DEGRADED, "generate: PROMPT_TOO_LONG")
    bench.world.fail["generate"] = [too_long, InvalidArgument("9001 tokens", reason="PROMPT_TOO_LONG")]
    with pytest.raises(RunFailedError) as raised:
        await _events(bench, stream=True)
    assert (raised.value.step, raised.value.error) == ("generate", too_long)


@pytest.mark.parametrize("mode", list(StreamingMode))
async def test_fallback_answers_where_generation_fails(mode: StreamingMode):
    bench = _falling_back(mode)
    bench.world.fail["generate"] = [NotFound("no such adapter")]
    events = await _events(bench, stream=True)
    result = events[-1]
    assert "".join(events[:-1]) == result.text
    assert (result.state, bench.record.reason) == (RunState.DEGRADED, "generate: NOT_FOUND")
    assert (bench.states["generate"], bench.states["generate.small"]) == (
        StepState.FAILED,
        StepState.SUCCEEDED,
    )
    used = bench.world.prompt.step
    assert (used.model_server_ref, used.model_name, used.instructions) == ("small", "tiny", "Be brief.")
    detail = next(json.loads(s.detail) for s in bench.record.steps if s.name == "generate.small")
    assert detail["model"] == "double"


async def test_fallback_may_have_instructions_and_a_fallback_of_its_own():
    bench = _falling_back(on_fail="catch:last", instructions="Quote.")
    bench.fallbacks = {**bench.fallbacks, "last": FallbackStep(model_server_ref="last")}
    bench.world.fail["generate"] = [Unavailable("gone"), Unavailable("gone")]
    [*_, result] = await _events(bench)
    assert result.state is RunState.DEGRADED
    assert bench.record.reason == "generate: UNAVAILABLE; generate.small: UNAVAILABLE"
    steps = [prompt.step for prompt in bench.world.prompts]
    assert [step.model_server_ref for step in steps] == ["m", "small", "last"]
    assert [step.instructions for step in steps] == ["Be brief.", "Quote.", "Be brief."]


async def test_run_fails_with_the_last_fallback():
    bench = _falling_back()
    bench.world.fail["generate"] = [Unavailable("gone"), Unavailable("gone too")]
    with pytest.raises(RunFailedError) as raised:
        await _events(bench)
    assert (raised.value.step, raised.value.error.message) == ("generate.small", "gone too")


@pytest.mark.parametrize("mode", [StreamingMode.WINDOW, StreamingMode.DETECT])
async def test_stream_that_has_begun_is_not_gone_on_with_by_another_model(mode: StreamingMode):
    bench = _falling_back(mode)
    bench.world.fail_after_piece = Unavailable("broke off")
    with pytest.raises(RunFailedError):
        await _events(bench, stream=True)
    assert bench.world.calls.count("generate") == 1


async def test_degraded_reasons_of_the_way_are_told_together():
    bench = _falling_back()
    bench.world.left_out = ("keyword",)
    bench.world.fail["generate"] = [Unavailable("gone")]
    bench.world.finish = Finish("stop")
    await _events(bench)
    assert bench.record.reason == "retrieve: LEGS_LEFT_OUT (keyword); generate: UNAVAILABLE"


async def test_deadline_of_a_step_ends_all_its_attempts():
    bench = Bench(policies={"rerank": {"deadline": 3.0, "backoff": 5.0, "max_backoff": 5.0}})
    bench.world.fail["rerank"] = [Unavailable("gone")] * 100
    [*_, result] = await _events(bench)
    assert result.state is RunState.DEGRADED
    assert bench.world.calls.count("rerank") == 1  # the next would begin too late
    step = next(step for step in bench.record.steps if step.name == "rerank")
    assert step.reason == "UNAVAILABLE (NO_TIME_LEFT)"


async def test_deadline_of_a_step_caps_an_attempt():
    bench = Bench(retries=0, policies={"rerank": {"deadline": 0.02, "timeout": 60.0}})
    bench.world.hangs["rerank"] = {0}
    [*_, result] = await _events(bench)
    assert (result.state, bench.record.reason) == (RunState.DEGRADED, "rerank: DEADLINE_EXCEEDED")


@pytest.mark.parametrize("mode", [StreamingMode.WINDOW, StreamingMode.DETECT])
async def test_deadline_of_generation_holds_while_it_streams(mode: StreamingMode):
    bench = Bench(streaming=mode, policies={"generate": {"deadline": 0.05, "needs": 0.0, "timeout": 60.0}})

    async def generate(prompt: Prompt) -> AsyncGenerator[str | Finish, None]:
        yield "It is "
        await asyncio.Event().wait()

    bench.world.generate = generate
    with pytest.raises(RunFailedError) as raised:
        await _events(bench, stream=True)
    assert (raised.value.step, raised.value.error.reason) == ("generate", "DEADLINE_EXCEEDED")


async def test_step_is_not_begun_with_less_time_than_it_needs():
    bench = Bench(policies={"rerank": {"needs": 4.0}, "generate": {"needs": 4.0}}, timeout=3.0)
    with pytest.raises(RunFailedError) as raised:
        await _events(bench)
    assert (raised.value.step, raised.value.error.reason) == ("generate", "NO_TIME_LEFT")
    assert "rerank" not in bench.world.calls  # it degrades
    assert "generate" not in bench.world.calls
    assert {step.name: step.reason for step in bench.record.steps}["rerank"] == "NO_TIME_LEFT"


async def test_what_a_caller_allows_is_the_runs_deadline_too():
    bench = Bench()
    with deadlines.limit(0.0), pytest.raises(RunFailedError) as raised:
        await _events(bench)
    assert raised.value.error.reason == "NO_TIME_LEFT"
    assert bench.world.calls == []
