"""`POST /v1/completions`: OpenAI's older form, a prompt in place of messages; each prompt is a run."""

import asyncio
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from functools import partial

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse

from sluice_gateway.domain.coalescing import Running
from sluice_gateway.domain.outcome import RunFailedError, RunResult
from sluice_gateway.domain.pieces import Delta
from sluice_gateway.http import completions, sse
from sluice_gateway.http.bodies import parse, read_json
from sluice_gateway.http.completions import Json
from sluice_gateway.http.described import described
from sluice_gateway.http.errors import error_body
from sluice_gateway.http.idempotent import idempotent
from sluice_gateway.http.leaving import unless_gone
from sluice_gateway.http.legacy_schema import CompletionRequest
from sluice_gateway.http.parameters import ADDRESSED, IDEMPOTENT
from sluice_gateway.http.replies.openai import TextCompletion
from sluice_gateway.http.state import addressed, of, principal, run_headers
from sluice_servicekit.errors import Cancelled, ServiceError

router = APIRouter()

_EXAMPLE = {"model": "default", "prompt": "What does the journal hold of a run?"}

Events = AsyncGenerator[str | Delta | RunResult, None]


@dataclass(frozen=True)
class Shape:
    """What all that is sent for one request has in common."""

    run_id: str
    """The first run's; the completion is named by it."""
    model: str
    created: int

    def body(self, choices: list[Json], **more: object) -> Json:
        """A completion, or a chunk of one: they have the same form."""
        return {
            "id": f"cmpl-{self.run_id}",
            "object": "text_completion",
            "created": self.created,
            "model": self.model,
            "choices": choices,
            **more,
        }


@router.post(
    "/v1/completions",
    **described(
        "completions",
        TextCompletion,
        body=CompletionRequest,
        events=TextCompletion,
        done=True,
        runs=True,
        errors=(404, 409, 429, 504),
        parameters=(*ADDRESSED, IDEMPOTENT),
        example=_EXAMPLE,
    ),
)
async def text_completions(request: Request) -> Response:
    """Answers prompts through a pipeline; OpenAI's legacy completion."""
    state = of(request)
    who = principal(request)
    try:
        content = await read_json(request, state.settings.max_body_bytes)
        body = parse(content, CompletionRequest)
        requests = body.run_requests(who)
    except Cancelled:
        raise
    except ServiceError as error:
        raise await state.gateway.refuse(who, "", error) from error

    async def respond() -> Response:
        # All or none: what cannot start must not leave the others running.
        runs = [
            await state.gateway.admit(who, body.model, partial(addressed, request, asked))
            for asked in requests
        ]
        shape = Shape(runs[0].run_id, body.model, int(time.time()))
        if body.stream:
            include_usage = body.stream_options is not None and bool(body.stream_options.include_usage)
            return await _streamed(
                request, runs, shape, state.settings.heartbeat_seconds, include_usage=include_usage
            )
        results = await unless_gone(request, _together(runs))
        choices = [_choice(index, result.text, result) for index, result in enumerate(results)]
        response = JSONResponse(shape.body(choices, usage=_usage(results)))
        response.headers.update(run_headers(runs[0]))
        return response

    kept = state.gateway.payloads(body.model), state.gateway.payload_retention(body.model)
    return await idempotent(request, who, content, kept[0], respond, kept[1])


async def _together(runs: Sequence[Running]) -> list[RunResult]:
    """What all runs give; where one fails the others are cancelled."""
    tasks = [asyncio.ensure_future(run.result()) for run in runs]
    try:
        return await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _streamed(
    request: Request, runs: Sequence[Running], shape: Shape, heartbeat: float, *, include_usage: bool
) -> Response:
    """Holds the status until there is something to send: a failure before that is a plain error."""
    events = runs[0].events()
    first = await unless_gone(request, anext(events))
    frames = _frames(first, [events, *(run.events() for run in runs[1:])], shape, include_usage=include_usage)
    return StreamingResponse(
        sse.with_heartbeat(frames, heartbeat),
        media_type="text/event-stream",
        headers={**sse.HEADERS, **run_headers(runs[0])},
    )


async def _frames(
    first: str | Delta | RunResult, answers: Sequence[Events], shape: Shape, *, include_usage: bool
) -> AsyncGenerator[bytes, None]:
    """One answer after the other, told apart by `index`."""
    more: Json = {"usage": None} if include_usage else {}
    results = []
    try:
        for index, events in enumerate(answers):
            async with aclosing(events):
                event: str | Delta | RunResult | None = first if index == 0 else await anext(events, None)
                while event is not None:
                    if isinstance(event, RunResult):
                        results.append(event)
                        text = event.text if event.finish_reason == "content_filter" else ""
                        yield sse.frame(shape.body([_choice(index, text, event)], **more))
                    else:
                        text = event if isinstance(event, str) else event.text
                        yield sse.frame(shape.body([_choice(index, text)], **more))
                    event = await anext(events, None)
    except RunFailedError as failed:
        # The status has left already: an error frame, and no [DONE] that would make it look whole.
        yield sse.frame(error_body(failed.error, step=failed.step))
        return
    if include_usage:
        yield sse.frame(shape.body([], usage=_usage(results)))
    yield sse.DONE


def _choice(index: int, text: str, result: RunResult | None = None) -> Json:
    choice: Json = {"text": text, "index": index, "logprobs": None, "finish_reason": None}
    if result is not None:
        choice["finish_reason"] = result.finish_reason
        choice["sluice"] = completions.extension(result)
    return choice


def _usage(results: Sequence[RunResult]) -> Json:
    each = [completions.usage(result) for result in results]
    return {name: sum(usage[name] for usage in each) for name in each[0]}
