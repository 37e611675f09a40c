"""Runs as server-sent events, over HTTP."""

import json

import httpx
import pytest
from httpx_sse import ServerSentEvent, connect_sse

from support.running import Running

pytestmark = pytest.mark.processes

TENANT = "followed"


def _asked(http: httpx.Client) -> str:
    body = {"model": "default", "messages": [{"role": "user", "content": "What is the Gweebarra?"}]}
    return http.post("/v1/chat/completions", json=body).headers["x-sluice-run-id"]


def _first(http: httpx.Client, count: int, **options: object) -> list[ServerSentEvent]:
    """The first events that carry a run."""
    with connect_sse(http, "GET", "/v1/runs/events", **options) as source:
        runs = (event for event in source.iter_sse() if event.data)
        return [next(runs) for _ in range(count)]


def _ids(events: list[ServerSentEvent]) -> list[str]:
    return [json.loads(event.data)["run_id"] for event in events]


def test_a_follower_resumes_after_the_last_event_it_has_seen(up: Running):
    with up.http(TENANT) as http:
        ids = [_asked(http) for _ in range(3)]
        last = _first(http, 2, params={"last": 3})
        assert _ids(last) == ids[:2]
        resumed = _first(http, 1, headers={"last-event-id": last[-1].id})
        assert _ids(resumed) == ids[2:]
        listed = http.get("/v1/runs", params={"limit": 1}).json()["runs"]
        assert [json.loads(event.data) for event in resumed] == listed


def test_a_runs_events_are_its_own_and_end_with_it(up: Running):
    with up.http(TENANT) as http:
        run_id = _asked(http)
        with connect_sse(http, "GET", f"/v1/runs/{run_id}/events") as source:
            events = list(source.iter_sse())
    assert [event.id for event in events] == [str(number) for number in range(1, len(events) + 1)]
    content = [json.loads(event.data) for event in events]
    assert (content[0]["kind"], content[-1]["kind"]) == ("run_started", "run_ended")
    assert {event["step"] for event in content if event["step"]} == {
        "guard_input",
        "retrieve",
        "rerank",
        "generate",
        "guard_output",
    }
    with up.http("somebody-else") as other:
        assert other.get(f"/v1/runs/{run_id}/events").json()["error"]["code"] == "run_not_found"


@pytest.mark.parametrize(
    ("params", "headers", "field"),
    [
        ({"last": "x"}, {}, "last"),
        ({"last": "1001"}, {}, "last"),
        ({"state": "gone"}, {}, "state"),
        ({}, {"last-event-id": "-1"}, "Last-Event-ID"),
        ({}, {"last-event-id": "9" * 30}, "Last-Event-ID"),
    ],
)
def test_what_cannot_be_followed_is_refused_by_name(up: Running, params: dict, headers: dict, field: str):
    with up.http(TENANT) as http:
        refused = http.get("/v1/runs/events", params=params, headers=headers)
    assert (refused.status_code, refused.json()["error"]["param"]) == (400, field)
