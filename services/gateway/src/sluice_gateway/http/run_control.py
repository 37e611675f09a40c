"""Durable runs over REST: start, cancel, resume, fork, override; `Prefer: wait=N` waits for their end."""

import time
from collections.abc import Awaitable, Callable
from typing import Literal

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response

from sluice_gateway.domain.model import Decision, Principal
from sluice_gateway.domain.outcome import RunFailedError
from sluice_gateway.durable.port import StartedRun
from sluice_gateway.http.bodies import RequestModel, parse, read, read_json
from sluice_gateway.http.chat_schema import ChatRequest
from sluice_gateway.http.completions import Shape
from sluice_gateway.http.completions import completion as completion_body
from sluice_gateway.http.described import described
from sluice_gateway.http.errors import error_response
from sluice_gateway.http.idempotent import idempotent
from sluice_gateway.http.parameters import ADDRESSED, IDEMPOTENT, PREFER
from sluice_gateway.http.preferring import Preference, preference
from sluice_gateway.http.replies.runs import RunWithSteps
from sluice_gateway.http.runs import Json, view_body
from sluice_gateway.http.state import RUN_HEADER, addressed, of, principal
from sluice_servicekit.errors import Cancelled, InvalidArgument, ServiceError, Unavailable

router = APIRouter()


class ForkBody(RequestModel):
    """From where on another run is made."""

    from_step: str


class OverrideBody(RequestModel):
    """What a gate's decision is turned into, and why."""

    gate: str
    decision: Literal["allow", "block"]
    reason: str


@router.post(
    "/v1/runs",
    **described(
        "runs",
        RunWithSteps,
        body=ChatRequest,
        runs=True,
        accepts=True,
        errors=(404, 409, 429),
        parameters=(*ADDRESSED, PREFER, IDEMPOTENT),
        example={"model": "default", "messages": [{"role": "user", "content": "What is a gate?"}]},
    ),
)
async def start_run(request: Request) -> Response:
    """Starts a run in the background; the body is that of a chat completion."""
    who, preferred = principal(request), preference(request)
    try:
        content = await read_json(request, of(request).settings.max_body_bytes)
        body = parse(content, ChatRequest)
    except Cancelled:
        raise
    except ServiceError as error:
        raise await of(request).gateway.refuse(who, "", error) from error

    async def respond() -> Response:
        started = await _start(request, who, body)
        return await _after(request, who, started.run_id, preferred, _whole_run)

    gateway = of(request).gateway
    kept = gateway.payloads(body.model), gateway.payload_retention(body.model)
    return await idempotent(request, who, content, kept[0], respond, kept[1])


def in_background(request: Request, body: ChatRequest) -> bool:
    """True where a chat completion is to be made in the background. A stream cannot be: what is only preferred then
    is left out."""
    return bool(body.background) or (preference(request).asynchronous and not body.stream)


async def completed_later(request: Request, who: Principal, body: ChatRequest) -> Response:
    """A chat completion made in the background: the completion where the caller waits long enough, else its run."""
    preferred = preference(request)
    started = await _start(request, who, body)

    async def completion() -> Response:
        view = await of(request).control.view(who, started.run_id)
        if view.result is None:
            return accepted(view.record.run_id, str(view.record.state))
        shape = Shape(body.model, int(time.time()), body.n or 1, bool(body.logprobs), bool(body.functions))
        return JSONResponse(completion_body(view.result, shape))

    return await _after(request, who, started.run_id, preferred, lambda *_: completion())


@router.post("/v1/runs/{run_id}/cancel", **described("runs", RunWithSteps, errors=(404, 409)))
@router.post("/v1/runs/{run_id}:cancel", include_in_schema=False)
async def cancel_run(request: Request, run_id: str) -> Json:
    """Ends a run that goes on."""
    who = principal(request)
    await of(request).control.cancel(who, run_id)
    return view_body(await of(request).control.view(who, run_id))


@router.post(
    "/v1/runs/{run_id}/resume",
    **described("runs", RunWithSteps, runs=True, accepts=True, errors=(404, 409), parameters=(PREFER,)),
)
@router.post("/v1/runs/{run_id}:resume", include_in_schema=False)
async def resume_run(request: Request, run_id: str) -> Response:
    """Has a run that failed or was cancelled go on."""
    who, preferred = principal(request), preference(request)
    await of(request).control.resume(who, run_id)
    return await _after(request, who, run_id, preferred, _whole_run)


@router.post(
    "/v1/runs/{run_id}/fork",
    **described(
        "runs",
        RunWithSteps,
        body=ForkBody,
        runs=True,
        accepts=True,
        errors=(404, 409),
        parameters=(PREFER,),
        example={"from_step": "generate"},
    ),
)
@router.post("/v1/runs/{run_id}:fork", include_in_schema=False)
async def fork_run(request: Request, run_id: str) -> Response:
    """Makes another run of this one, which has the outputs of all steps before `from_step`."""
    who, preferred = principal(request), preference(request)
    body = await read(request, ForkBody, of(request).settings.max_body_bytes)
    started = await of(request).control.fork(who, run_id, body.from_step)
    return await _after(request, who, started.run_id, preferred, _whole_run)


@router.post(
    "/v1/runs/{run_id}/override",
    **described(
        "runs",
        RunWithSteps,
        body=OverrideBody,
        runs=True,
        accepts=True,
        errors=(404, 409),
        parameters=(PREFER,),
        example={"gate": "guard_input", "decision": "allow", "reason": "A quotation from the manual."},
    ),
)
@router.post("/v1/runs/{run_id}:override", include_in_schema=False)
async def override_gate(request: Request, run_id: str) -> Response:
    """Turns a gate's decision: another run goes on from there, and the journal says who turned it, and why."""
    who, preferred = principal(request), preference(request)
    body = await read(request, OverrideBody, of(request).settings.max_body_bytes)
    started = await of(request).control.override(who, run_id, body.gate, Decision(body.decision), body.reason)
    return await _after(request, who, started.run_id, preferred, _whole_run)


async def promoted(request: Request, failed: RunFailedError) -> Response | None:
    """The answer to a caller whose run failed and goes on in the background; None where it does not."""
    try:
        started = await of(request).control.promote(failed, principal(request).tenant)
    except ServiceError:
        return None
    if started is None:
        return None
    error = Unavailable(
        f"{failed.error.message}; the run goes on in the background as {started.run_id}",
        reason="RUN_PROMOTED",
        retry_after=1.0,
    )
    response = error_response(error, step=failed.step)
    response.headers.update(_headers(started.run_id))
    # Clients repeat a 503 by themselves, and would ask a second time what is being answered already.
    response.headers["x-should-retry"] = "false"
    return response


def accepted(run_id: str, state: str = "running") -> JSONResponse:
    """Says that a run was taken on, and where it is."""
    return JSONResponse({"run_id": run_id, "state": state}, 202, _headers(run_id))


async def _start(request: Request, who: Principal, body: ChatRequest) -> StartedRun:
    if body.stream:
        error = InvalidArgument("a run in the background does not stream; follow its events", field="stream")
        raise await of(request).gateway.refuse(who, body.model, error)
    return await of(request).control.start(who, body.model, lambda: addressed(request, body.run_request(who)))


async def _after(
    request: Request,
    who: Principal,
    run_id: str,
    preferred: Preference,
    ended: Callable[[Request, Principal, str], Awaitable[Response]],
) -> Response:
    """What `ended` makes of the run where it ends in time; else that it goes on."""
    if not preferred.wait or not await of(request).control.wait(who, run_id, preferred.wait):
        response: Response = accepted(run_id)
        if preferred.asynchronous:
            response.headers["preference-applied"] = "respond-async"
        return response
    response = await ended(request, who, run_id)
    response.headers.update(_headers(run_id))
    return response


async def _whole_run(request: Request, who: Principal, run_id: str) -> Response:
    return JSONResponse(view_body(await of(request).control.view(who, run_id)))


def _headers(run_id: str) -> dict[str, str]:
    return {"location": f"/v1/runs/{run_id}", RUN_HEADER: run_id}
