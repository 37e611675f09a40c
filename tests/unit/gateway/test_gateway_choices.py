"""Runs whose answers are more than one text: tools, several answers, log probabilities, JSON; and what they used."""

import asyncio
import json
from contextlib import suppress
from dataclasses import replace

import pytest

from sluice_api.objects.guardrail_policy import StreamingMode
from sluice_api.objects.model_server import Extractive, ModelServerSpec
from sluice_gateway.domain.model import (
    Decision,
    Finish,
    Message,
    Principal,
    RunRequest,
    Sampling,
    TreatedSegment,
    Usage,
    Verdict,
)
from sluice_gateway.domain.observing import EndedRun
from sluice_gateway.domain.outcome import RunFailedError, RunResult
from sluice_gateway.domain.pieces import Delta, Logprob
from sluice_gateway.domain.run import RunState, StepState
from sluice_gateway.domain.tools import (
    AnswerForm,
    AnswerFormat,
    Tool,
    ToolCall,
    ToolCallDelta,
    ToolChoice,
    Tools,
)
from sluice_servicekit.errors import InvalidArgument, Unavailable
from support import run_bench
from support.run_bench import Bench, World, verdict

WEATHER = Tools((Tool("get_weather", "Weather of a city", '{"type": "object"}'),))
ASKED = RunRequest("default", Principal("acme"), (Message("user", "How long?"),))
CALLING = (
    Delta(tool_calls=(ToolCallDelta(0, "c1", "get_weather"),)),
    Delta(tool_calls=(ToolCallDelta(0, arguments='{"city": '),)),
    Delta(tool_calls=(ToolCallDelta(0, arguments='"Lisbon"}'),)),
)
CALL = ToolCall("get_weather", '{"city": "Lisbon"}', "c1")
CALLED = Finish("tool_calls", model="double")
MODES = (StreamingMode.WITHHOLD, StreamingMode.WINDOW, StreamingMode.DETECT)

Events = list[str | Delta | RunResult]


async def _events(bench: Bench, request: RunRequest) -> Events:
    return [event async for event in bench.executor().admit(request).events()]


def _result(events: Events) -> RunResult:
    assert isinstance(events[-1], RunResult)
    return events[-1]


def _calls(events: Events) -> str:
    return "".join(
        call.arguments for event in events if isinstance(event, Delta) for call in event.tool_calls
    )


def _text(events: Events, choice: int = 0) -> str:
    said = [Delta(event) if isinstance(event, str) else event for event in events]
    return "".join(event.text for event in said if isinstance(event, Delta) and event.choice == choice)


def _blocks(*texts: str):
    def judges(text: str) -> Verdict:
        return verdict(Decision.BLOCK if text in texts else Decision.ALLOW)

    return judges


@pytest.mark.parametrize("mode", MODES)
async def test_calls_of_tools_leave_whole_and_screened(mode: StreamingMode):
    world = World(pieces=CALLING, finish=CALLED)
    events = await _events(Bench(world, streaming=mode), replace(ASKED, tools=WEATHER, stream=True))
    result = _result(events)
    assert (result.finish_reason, result.tool_calls, result.text) == ("tool_calls", (CALL,), "")
    assert _calls(events) == CALL.arguments
    first = next(event for event in events if isinstance(event, Delta) and event.tool_calls)
    assert first.tool_calls[0].name == "get_weather"
    assert world.prompt is not None
    assert world.prompt.tools == WEATHER
    assert world.contexts[-1].arguments is True


@pytest.mark.parametrize("mode", MODES)
async def test_blocked_call_never_leaves(mode: StreamingMode):
    world = World(pieces=("Wait. ", *CALLING), finish=CALLED, judges=_blocks(CALL.arguments))
    events = await _events(Bench(world, streaming=mode), replace(ASKED, tools=WEATHER, stream=True))
    if mode is StreamingMode.DETECT:  # it only records
        assert _calls(events) == CALL.arguments
        return
    assert _result(events).state is RunState.BLOCKED
    assert (_result(events).tool_calls, _calls(events)) == ((), "")
    assert _text(events) == ("Wait. " if mode is StreamingMode.WINDOW else "")


async def test_call_that_redaction_has_broken_never_leaves():
    world = World(pieces=(Delta(tool_calls=(ToolCallDelta(0, "c1", "f", '{"phone": 5551234}'),)),))
    world.leaves = lambda text: text.replace("5551234", "[PHONE_1]")
    result = _result(await _events(Bench(world), replace(ASKED, tools=WEATHER)))
    assert (result.finish_reason, result.tool_calls) == ("content_filter", ())
    kept = World(pieces=(Delta(tool_calls=(ToolCallDelta(0, "c1", "f", '{"phone": "5551234"}'),)),))
    kept.leaves = world.leaves
    result = _result(await _events(Bench(kept), replace(ASKED, tools=WEATHER)))
    assert result.tool_calls == (ToolCall("f", '{"phone": "[PHONE_1]"}', "c1"),)


async def test_what_the_caller_says_of_tools_is_screened_and_may_be_replaced():
    world = World(treated=(TreatedSegment(2, "{}"), TreatedSegment(1, "Redacted")))
    await _events(Bench(world), replace(ASKED, tools=WEATHER))
    assert world.described == ("Weather of a city", '{"type": "object"}')
    assert world.prompt is not None
    assert world.prompt.tools.functions == (Tool("get_weather", "Redacted", "{}"),)


async def test_answer_may_rest_on_what_tools_gave_as_the_input_gate_lets_it_on():
    call = Message("assistant", "", (CALL,))
    messages = (*ASKED.messages, call, Message("tool", "Call 5551234.", tool_call_id="c1"))
    world = World(treated=(TreatedSegment(2, "Call [PHONE_1]."),))
    await _events(Bench(world), replace(ASKED, messages=messages))
    assert world.contexts[-1].tool_results == ("Call [PHONE_1].",)
    assert world.queries[0] == "How long?"


@pytest.mark.parametrize("mode", MODES)
async def test_each_of_several_answers_is_decided_on_alone(mode: StreamingMode):
    pieces = ("It is ", Delta("As they say.", 1), "forty [1].", Delta("Nine [2].", 2, finish_reason="length"))
    world = World(pieces=pieces, judges=_blocks("As they say."))
    bench = Bench(world, streaming=mode)
    events = await _events(bench, replace(ASKED, sampling=Sampling(n=3), stream=True))
    first, second, third = _result(events).choices
    assert first.text == _text(events) == "It is forty [1].\n\nSources:\n[1] A (a.md)"
    assert third.finish_reason == "length"
    assert _text(events, 2) == third.text
    if mode is StreamingMode.DETECT:
        assert second.text == _text(events, 1) == "As they say."
        return
    assert (second.text, second.finish_reason) == ("No.", "content_filter")
    assert _text(events, 1) == "No."
    assert bench.record.state is RunState.DEGRADED
    assert bench.record.reason == "guard_output: PROMPT_INJECTION (1 withheld)"
    assert bench.states["guard_output"] is StepState.SUCCEEDED


async def test_all_answers_blocked_or_the_question_end_the_run_with_as_many_refusals():
    for world in (
        World(pieces=("a", Delta("a", 1)), judges=_blocks("a")),
        World(input_verdict=verdict(Decision.BLOCK)),
    ):
        result = _result(await _events(Bench(world), replace(ASKED, sampling=Sampling(n=2))))
        assert result.state is RunState.BLOCKED
        assert [(each.text, each.finish_reason) for each in result.choices] == [("No.", "content_filter")] * 2


def _tokens(*texts: str) -> tuple[Delta, ...]:
    return tuple(Delta(text, logprobs=(Logprob(text, -0.5),)) for text in texts)


@pytest.mark.parametrize("mode", MODES)
async def test_log_probabilities_leave_with_their_text(mode: StreamingMode):
    world = World(pieces=_tokens("It is ", "forty [1]."))
    asked = replace(ASKED, sampling=Sampling(top_logprobs=0), stream=True)
    events = await _events(Bench(world, streaming=mode), asked)
    tokens = [each.token for event in events if isinstance(event, Delta) for each in event.logprobs]
    assert tokens == ["It is ", "forty [1]."]
    assert _text(events).startswith("It is forty [1].\n\nSources")


@pytest.mark.parametrize("mode", [StreamingMode.WITHHOLD, StreamingMode.WINDOW])
async def test_redacted_text_has_no_log_probabilities(mode: StreamingMode):
    world = World(pieces=_tokens("Call ", "5551234", " now."))
    world.leaves = lambda text: text.replace("5551234", "[PHONE_1]")
    asked = replace(ASKED, sampling=Sampling(top_logprobs=0), stream=True)
    events = await _events(Bench(world, streaming=mode), asked)
    tokens = [each.token for event in events if isinstance(event, Delta) for each in event.logprobs]
    assert tokens == (["Call "] if mode is StreamingMode.WINDOW else [])
    assert _text(events) == "Call [PHONE_1] now."


JSON = AnswerFormat(AnswerForm.JSON_OBJECT)


@pytest.mark.parametrize(
    ("text", "reason", "state", "fault"),
    [
        ('{"hours": "forty [1]"}', "stop", RunState.ANSWERED, ""),
        ('{"hours": "forty [1]', "stop", RunState.DEGRADED, "ANSWER_NOT_JSON"),
        ('{"hours": "forty [1]', "length", RunState.ANSWERED, ""),
    ],
)
async def test_json_has_no_list_of_sources_and_is_checked(
    text: str, reason: str, state: RunState, fault: str
):
    world = World(pieces=(text,), finish=Finish(reason))
    bench = Bench(world, streaming=StreamingMode.WINDOW)
    events = await _events(bench, replace(ASKED, answer_format=JSON, stream=True))
    result = _result(events)
    assert (result.text, result.state, result.fault) == (text, state, fault)
    assert [citation.number for citation in result.citations] == [1]
    assert world.contexts[-1].form is AnswerForm.JSON_OBJECT
    assert bench.record.reason == (f"generate: {fault}" if fault else "")


async def test_no_answer_in_json_is_a_refusal():
    world = World(pieces=("The documents do not answer.",), finish=Finish("stop", unanswerable=True))
    events = await _events(Bench(world), replace(ASKED, answer_format=JSON, stream=True))
    assert events == [_result(events)]
    assert (_result(events).refused, _result(events).fault) == (True, "")


@pytest.mark.parametrize(
    ("field", "request_"),
    [
        ("tools", replace(ASKED, tools=WEATHER)),
        ("n", replace(ASKED, sampling=Sampling(n=2))),
        ("logprobs", replace(ASKED, sampling=Sampling(top_logprobs=0))),
        ("response_format", replace(ASKED, answer_format=JSON)),
    ],
)
def test_engine_that_only_quotes_is_not_asked_for_what_a_model_does(field: str, request_: RunRequest):
    executor = Bench(server=ModelServerSpec(extractive=Extractive())).executor()
    with pytest.raises(InvalidArgument, match=r"'default'.*extractive") as raised:
        executor.admit(request_)
    assert (raised.value.reason, raised.value.field) == ("UNSUPPORTED_VALUE", field)
    executor.admit(replace(ASKED, tools=replace(WEATHER, choice=ToolChoice.NONE)))


class Observer:
    def __init__(self) -> None:
        self.ended: list[EndedRun] = []

    def run_ended(self, ended: EndedRun) -> None:
        self.ended.append(ended)


SO_FAR = Usage(70, 2, estimated=True)


@pytest.mark.parametrize("mode", MODES)
async def test_usage_up_to_where_the_caller_left(mode: StreamingMode):
    observer = Observer()
    world = World(pieces=("It is ", Usage(70, 1, estimated=True), "forty [1].", SO_FAR), stalls=True)
    bench = Bench(world, streaming=mode, observers=(observer,), timeout=60.0)
    run = bench.executor().admit(replace(ASKED, stream=True))
    reading = asyncio.create_task(_read(run.events()))
    async with asyncio.timeout(5):
        await world.stalled.wait()
        reading.cancel()
        with suppress(asyncio.CancelledError):
            await reading
        await world.stopped.wait()
    [ended] = observer.ended
    assert (ended.state, ended.usage) == (RunState.CANCELLED, SO_FAR)
    told = {"prompt_tokens": 70, "completion_tokens": 2, "estimated": True}
    assert json.loads(bench.record.detail) == {"usage": told}


async def _read(events: object) -> None:
    async for _ in events:  # type: ignore[attr-defined]
        pass


async def test_usage_of_failed_attempts_counts():
    observer = Observer()
    world = World(pieces=(Usage(10, 1), "It is "), fail_after_piece=Unavailable("gone"))
    bench = Bench(world, observers=(observer,), retries=1)
    with suppress(RunFailedError):
        await bench.executor().admit(ASKED).result()
    assert observer.ended[0].usage == Usage(20, 2)


async def test_usage_of_a_blocked_answer_is_told():
    observer = Observer()
    world = World(finish=Finish("stop", Usage(10, 2)), output_verdict=verdict(Decision.BLOCK))
    result = await Bench(world, observers=(observer,)).executor().admit(ASKED).result()
    assert result.usage == observer.ended[0].usage == Usage(10, 2)


@pytest.mark.parametrize("mode", [StreamingMode.WINDOW, StreamingMode.DETECT])
async def test_time_that_runs_out_while_the_caller_reads_is_a_failure(
    mode: StreamingMode, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setitem(run_bench.QUICK, "timeout", 0.1)
    bench = Bench(World(pieces=("It is ", "forty."), stalls=True), streaming=mode)
    events = bench.executor().admit(replace(ASKED, stream=True)).events()
    assert await anext(events) == "It is "
    await asyncio.sleep(0.15)
    with pytest.raises(RunFailedError) as raised:
        await _read(events)
    assert (raised.value.step, raised.value.error.reason) == ("generate", "DEADLINE_EXCEEDED")
    assert bench.record.reason == "generate: DEADLINE_EXCEEDED"
