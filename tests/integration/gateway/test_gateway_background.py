"""Runs in the background as a caller sees them, over the gateway as it is assembled and light services."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from support.light_gateway import light_gateway

QUESTION = {"model": "default", "messages": [{"role": "user", "content": "How long does the kiln take?"}]}


@pytest.fixture
def http(tmp_path: Path) -> Iterator[httpx.Client]:
    """Of a gateway of its own: a process can have one engine of durable runs at a time."""
    with light_gateway(tmp_path) as gateway, gateway.http() as client:
        yield client


@pytest.mark.parametrize(("path", "more"), [("/v1/runs", {}), ("/v1/chat/completions", {"background": True})])
def test_request_that_is_sent_again_under_its_key_is_the_same_run(
    http: httpx.Client, path: str, more: dict[str, object]
):
    headers = {"idempotency-key": f"key{path}"}
    first = http.post(path, json={**QUESTION, **more}, headers=headers)
    again = http.post(path, json={**QUESTION, **more}, headers=headers)
    assert (first.status_code, again.status_code) == (202, 202)
    assert first.headers["location"] == again.headers["location"]
    assert again.headers["idempotency-replayed"] == "true"
    other = http.post(path, json={**QUESTION, **more, "max_tokens": 7}, headers=headers)
    assert (other.status_code, other.json()["error"]["code"]) == (409, "idempotency_key_reused")
    ended = http.get(first.headers["location"], params={"wait": 30}).json()
    assert (ended["state"], ended["executor"]) == ("answered", "standard")
    assert ended["result"]["choices"][0]["message"]["content"]


def test_legacy_completion_under_a_key_runs_once(http: httpx.Client):
    asked = {"model": "default", "prompt": ["How long?", "How hot?"]}
    first, again = (
        http.post("/v1/completions", json=asked, headers={"idempotency-key": "legacy"}) for _ in range(2)
    )
    assert first.status_code == 200
    assert again.content == first.content
    assert again.headers["idempotency-replayed"] == "true"


def test_an_engine_that_nobody_needs_is_not_opened(tmp_path: Path):
    with light_gateway(tmp_path) as gateway, gateway.http() as http:
        assert http.post("/v1/chat/completions", json=QUESTION).status_code == 200
        assert http.get("/v1/runs/01a22547-7488-75a7-8126-ff45cd0c1c20").status_code == 404
        assert not (tmp_path / "durable.sqlite").exists()
        location = http.post("/v1/runs", json=QUESTION).headers["location"]
        assert (tmp_path / "durable.sqlite").exists()
    with light_gateway(tmp_path) as gateway, gateway.http() as http:  # which goes on with what was left
        assert http.get(location, params={"wait": 30}).json()["state"] == "answered"
