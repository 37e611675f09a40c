"""`/v1/runs/events` and `/v1/runs/{id}/events`: runs as they happen, as server-sent events.

Before `runs` in the application: `events` is no run's id.
"""

import json
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import TypeVar

from fastapi import APIRouter, Request

from sluice_gateway.domain.model import Principal
from sluice_gateway.domain.run import ENDED, ChangesOf, Event, RunChange, RunState
from sluice_gateway.http import sse
from sluice_gateway.http.described import described, parameter
from sluice_gateway.http.numbers import whole_number
from sluice_gateway.http.replies.runs import RunEvent, RunReply
from sluice_gateway.http.runs import Json, run_body, time_body
from sluice_gateway.http.state import of, principal
from sluice_gateway.http.streams import EventStream
from sluice_servicekit.errors import InvalidArgument, ServiceError

router = APIRouter()

T = TypeVar("T")

_MAX_LAST = 1000
_LAST_EVENT = "last-event-id"


_LAST_EVENT_ID = parameter(
    "Last-Event-ID",
    "Goes on after this event.",
    where="header",
    type="integer",
    minimum=0,
    maximum=2**63 - 1,
)


@router.get(
    "/v1/runs/events",
    response_class=EventStream,
    **described(
        "runs",
        None,
        events=RunReply,
        errors=(429,),
        parameters=(
            parameter(
                "state",
                "How runs ended; `running` for those that start.",
                type="array",
                items={"type": "string", "enum": [str(state) for state in RunState]},
            ),
            parameter("model", "The pipeline.", type="string"),
            parameter(
                "last", "So many of those before now first.", type="integer", minimum=0, maximum=_MAX_LAST
            ),
            _LAST_EVENT_ID,
        ),
    ),
)
async def follow_runs(request: Request) -> EventStream:
    """The caller's runs as they end, and as they start where `state=running` is asked for."""
    who = principal(request)
    query = request.query_params
    which = ChangesOf(who.tenant, _states(query.getlist("state")), query.get("model", ""))
    last = whole_number(query.get("last", "0"), "last", 0, _MAX_LAST)
    after = _last_event(request)
    return await _streamed(request, who, of(request).gateway.run_changes(who, which, after, last), _change)


@router.get(
    "/v1/runs/{run_id}/events",
    response_class=EventStream,
    **described("runs", None, events=RunEvent, errors=(404, 429), parameters=(_LAST_EVENT_ID,)),
)
async def follow_run(request: Request, run_id: str) -> EventStream:
    """What has happened in a run and what happens until its end."""
    who = principal(request)
    events = await of(request).gateway.run_events(who, run_id, _last_event(request) or 0)
    return await _streamed(request, who, events, _event)


async def _streamed(
    request: Request, who: Principal, events: AsyncGenerator[T, None], frame_of: Callable[[T], bytes]
) -> EventStream:
    """Holds the status until there is something to send: who may not follow gets a plain error."""
    first = await anext(events, None)
    frames = _frames(request, who, first, events, frame_of)
    return EventStream(
        sse.with_heartbeat(frames, of(request).settings.heartbeat_seconds), headers=sse.HEADERS
    )


async def _frames(
    request: Request,
    who: Principal,
    first: T | None,
    events: AsyncGenerator[T, None],
    frame_of: Callable[[T], bytes],
) -> AsyncGenerator[bytes, None]:
    async with aclosing(events):
        if first is not None:
            yield frame_of(first)
        async for event in events:
            if not _is_still(request, who):
                return
            yield frame_of(event)


def _is_still(request: Request, who: Principal) -> bool:
    """A stream may outlive its key."""
    try:
        return principal(request) == who
    except ServiceError:
        return False


def _change(change: RunChange | int) -> bytes:
    if isinstance(change, int):
        return sse.place(change)
    return sse.numbered(change.position, run_body(change.record))


def _event(numbered: tuple[int, Event]) -> bytes:
    number, event = numbered
    content: Json = {
        "kind": str(event.kind),
        "at": time_body(event.at),
        "step": event.step or None,
        "attempt": event.attempt or None,
        "state": str(event.state),
        "decision": event.decision or None,
        "reason": event.reason,
        "detail": json.loads(event.detail) if event.detail else {},
    }
    return sse.numbered(number, content)


def _states(names: list[str]) -> tuple[RunState, ...]:
    try:
        return tuple(dict.fromkeys(RunState(name) for name in names)) or ENDED
    except ValueError:
        known = ", ".join(RunState)
        raise InvalidArgument(f"state must be one of {known}", field="state") from None


def _last_event(request: Request) -> int | None:
    text = request.headers.get(_LAST_EVENT)
    return None if text is None else whole_number(text, "Last-Event-ID", 0, 2**63 - 1)
