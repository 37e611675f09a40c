"""What of the passages a model reads: what it may cite, what the output gate is told, how a prompt is laid out."""

import json
from dataclasses import replace

import pytest

from sluice.inference.v1 import inference_pb2
from sluice_api.objects.guardrail_policy import StreamingMode
from sluice_api.objects.prompt import PassageOrder, Prompt
from sluice_api.objects.steps import FallbackStep, GenerateStep
from sluice_gateway import generation
from sluice_gateway.domain import ports
from sluice_gateway.domain.model import Finish, Message, Prepared, Principal, RunRequest, Usage
from sluice_gateway.domain.outcome import RunFailedError, RunResult
from sluice_gateway.domain.recording import finish_detail
from sluice_gateway.domain.run import RunState
from sluice_gateway.http.errors import error_response
from sluice_servicekit.errors import InvalidArgument, Unavailable
from support.passages import Passage
from support.run_bench import Bench, World

ASKED = RunRequest("default", Principal("acme"), (Message("user", "How long?"),))
FEWER = Prepared(1, turns_left_out=2)
WRITTEN = ("It is ", "forty [1] ", "or so [2].")
FINDS = (Passage("a.md", "A"), Passage("b.md", "B"))


def _bench(mode: StreamingMode, **world: object) -> Bench:
    """Two passages, of which the engine reads the first."""
    doubles = World(
        pieces=(FEWER, *WRITTEN),
        finish=Finish("stop", model="double", prepared=FEWER),
        library=lambda _query: FINDS,
    )
    for name, value in world.items():
        setattr(doubles, name, value)
    return Bench(doubles, streaming=mode)


async def _run(bench: Bench) -> tuple[str, RunResult]:
    run = bench.executor().admit(replace(ASKED, stream=True))
    *pieces, result = [event async for event in run.events()]
    return "".join(pieces), result


@pytest.mark.parametrize("mode", list(StreamingMode))
async def test_passage_that_there_was_no_room_for_is_never_cited(mode: StreamingMode):
    bench = _bench(mode)
    text, result = await _run(bench)
    assert text == result.text
    assert text.startswith("".join(WRITTEN))
    assert text.endswith("Sources:\n[1] A (a.md)")
    assert [citation.number for citation in result.citations] == [1]
    assert result.state is RunState.ANSWERED
    # The gate is told of no other, so that it takes a mark that names it for one that names nothing.
    assert list(bench.world.checked.passages) == [FINDS[0]]
    details = [json.loads(step.detail) for step in bench.record.steps if step.name == "generate"]
    assert (details[-1]["passages_read"], details[-1]["turns_left_out"]) == (1, 2)


@pytest.mark.parametrize("mode", list(StreamingMode))
async def test_all_is_cited_where_the_engine_reads_all(mode: StreamingMode):
    bench = _bench(mode, pieces=WRITTEN, finish=Finish("stop"))
    _, result = await _run(bench)
    assert [citation.number for citation in result.citations] == [1, 2]
    assert list(bench.world.checked.passages) == list(FINDS)
    assert bench.world.calls.count("guard_output") == 1


async def test_what_a_failed_attempt_had_room_for_counts_no_more():
    bench = _bench(StreamingMode.WINDOW, finish=Finish("stop"))
    attempts = iter([(FEWER, Unavailable("gone")), WRITTEN])

    class Engine(World):
        async def generate(self, prompt):  # type: ignore[no-untyped-def]
            for piece in next(attempts):
                if isinstance(piece, Unavailable):
                    raise piece
                yield piece
            yield self.finish

    bench.world = Engine(finish=Finish("stop"), library=lambda _query: FINDS)
    _, result = await _run(bench)
    assert [citation.number for citation in result.citations] == [1, 2]
    assert list(bench.world.checked.passages) == list(FINDS)


async def test_fallback_lays_its_prompt_out_as_generate_does_unless_it_says_otherwise():
    wide, small = Prompt(max_prompt_tokens=8000), Prompt(max_prompt_tokens=900)
    for own, used in ((None, wide), (small, small)):
        bench = Bench(
            policies={"generate": {"on_fail": "catch:small", "prompt": wide, "retries": 0}},
            fallbacks={"small": FallbackStep(model_server_ref="small", prompt=own)},
        )
        bench.world.fail["generate"] = [Unavailable("gone")]
        await bench.executor().admit(ASKED).result()
        assert [prompt.step.prompt for prompt in bench.world.prompts] == [wide, used]


async def test_fallback_that_has_no_room_is_not_what_is_wrong():
    bench = Bench(
        policies={"generate": {"on_fail": "catch:small", "retries": 0}},
        fallbacks={"small": FallbackStep(model_server_ref="small", retries=0)},
    )
    too_long = InvalidArgument("too long", reason="PROMPT_TOO_LONG")
    bench.world.fail["generate"] = [Unavailable("gone"), too_long]
    with pytest.raises(RunFailedError) as raised:
        await bench.executor().admit(ASKED).result()
    assert (raised.value.step, raised.value.error.reason) == ("generate", "UNAVAILABLE")


def test_question_that_is_too_long_is_told_in_openais_words():
    error = InvalidArgument("too long", reason="PROMPT_TOO_LONG", field="messages")
    response = error_response(error, step="generate")
    told = json.loads(bytes(response.body))["error"]
    assert (response.status_code, told["type"], told["param"]) == (400, "invalid_request_error", "messages")
    assert told["code"] == "context_length_exceeded"


def _request(prompt: Prompt | None) -> inference_pb2.GenerateRequest:
    step = GenerateStep(model_server_ref="m").model_copy(update={"prompt": prompt})
    return generation.request(ports.Prompt(Principal("acme"), step, ASKED.messages, (), None, ASKED.sampling))


def test_layout_goes_with_the_request():
    laid_out = Prompt(
        template="{rules}\n{passages}",
        max_prompt_tokens=900,
        max_history_tokens=0,
        passage_order=PassageOrder.EDGES,
        titles=False,
        metadata=("url",),
    )
    sent = _request(laid_out).prompt
    assert (sent.template, sent.max_prompt_tokens) == ("{rules}\n{passages}", 900)
    assert (sent.HasField("max_history_tokens"), sent.max_history_tokens) == (True, 0)
    assert sent.passage_order == inference_pb2.PASSAGE_ORDER_EDGES
    assert (sent.titles, list(sent.metadata), sent.min_passages) == (False, ["url"], 1)
    assert not _request(Prompt()).prompt.HasField("max_history_tokens")
    assert not _request(None).HasField("prompt")


def test_end_tells_what_was_read():
    usage = inference_pb2.Usage(prompt_tokens=7)
    end = inference_pb2.Finish(usage=usage, passages_read=0, turns_left_out=3)
    assert generation.finish(end).prepared == Prepared(0, 3)
    assert generation.finish(inference_pb2.Finish(usage=usage)) == Finish("stop", Usage(7, 0))


def test_end_tells_who_wrote_it_after_which_wait():
    usage = inference_pb2.Usage(prompt_tokens=7)
    end = generation.finish(inference_pb2.Finish(usage=usage, replica="pods-1", queued_seconds=0.25))
    detail = finish_detail(end)
    assert (detail["replica"], detail["queued_ms"], detail["prompt_tokens"]) == ("pods-1", 250, 7)
    assert not finish_detail(Finish("stop")).keys() & {"replica", "queued_ms", "passages_read"}
