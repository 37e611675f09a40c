"""Streams of runs: what a frame looks like, and that a stream does not outlive its key."""

from collections.abc import AsyncGenerator
from types import SimpleNamespace

from fastapi import Request

from sluice_gateway.domain.access import Access, ApiKey
from sluice_gateway.domain.run import Event, EventKind, RunChange, RunRecord, RunState
from sluice_gateway.http.run_events import _change, _event, _frames

KEY = ApiKey(key="k" * 16, tenant="acme")


def test_frames_carry_the_place_to_resume_at():
    record = RunRecord("r", "acme", "default", RunState.BLOCKED, "WHY", 0.0, 0.25, ())
    assert _change(RunChange(7, record)) == (
        b'id: 7\ndata: {"run_id":"r","model":"default","tenant":"acme","state":"blocked","reason":"WHY",'
        b'"started":"1970-01-01T00:00:00.000000+00:00","ended":"1970-01-01T00:00:00.250000+00:00",'
        b'"duration_ms":250.0}\n\n'
    )
    assert _change(7) == b"id: 7\n\n"
    event = Event("r", "acme", EventKind.STEP_STARTED, 0.0, step="retrieve", attempt=1, state="running")
    assert _event((2, event)) == (
        b'id: 2\ndata: {"kind":"step_started","at":"1970-01-01T00:00:00.000000+00:00","step":"retrieve",'
        b'"attempt":1,"state":"running","decision":null,"reason":"","detail":{}}\n\n'
    )


async def test_stream_ends_once_its_key_is_gone():
    access = Access({KEY.digest: KEY})
    state = SimpleNamespace(access=lambda: access)
    request = Request(
        {
            "type": "http",
            "app": SimpleNamespace(state=SimpleNamespace(sluice=state)),
            "headers": [(b"authorization", b"Bearer " + b"k" * 16)],
        }
    )
    who = access.principal("Bearer " + "k" * 16, None)

    async def events() -> AsyncGenerator[int, None]:
        nonlocal access
        yield 2
        access = Access({})
        yield 3

    assert [frame async for frame in _frames(request, who, 1, events(), _change)] == [
        b"id: 1\n\n",
        b"id: 2\n\n",
    ]
