"""Runs in the background as a caller sees them, over the gateway as it is assembled and light services."""

from collections.abc import Iterator

import httpx
import pytest

from support.light_gateway import light_gateway
from support.running import until

QUESTION = {"model": "default", "messages": [{"role": "user", "content": "How long does the kiln take?"}]}


@pytest.fixture(scope="module")
def http(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    with light_gateway(tmp_path_factory.mktemp("light")) as gateway, gateway.http() as client:
        until(
            lambda: client.post("/v1/runs", json=QUESTION).status_code == 202,
            60,
            "the engine has been opened",
        )
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
