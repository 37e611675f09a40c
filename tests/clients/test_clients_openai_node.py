"""OpenAI's own Node package."""

import json
from typing import Any

import pytest

from support.clients import node
from support.serving import ARGUMENTS, CALL, KEY, QUESTION, TOOLS, Serving

pytestmark = pytest.mark.needs("node")


def _spoken(chunks: list[dict[str, Any]]) -> str:
    return "".join(choice["delta"].get("content") or "" for chunk in chunks for choice in chunk["choices"])


def _arguments(answer: dict[str, Any]) -> Any:
    [choice] = answer["choices"]
    assert choice["finish_reason"] == "tool_calls"
    [call] = choice["message"]["tool_calls"]
    return json.loads(call["function"]["arguments"])


def test_everything(gateway: Serving):
    server = gateway.model_server
    server.calls = (CALL,)
    server.json = ('{"machine": "Ardmore press", ', '"hours": 40}')
    server.others = (("Forty ", "hours [1]."),)
    results = node("all.mjs", gateway.base_url, KEY, QUESTION, json.dumps(TOOLS))
    [choice] = results["chat"]["choices"]
    assert choice["message"]["content"].startswith("It is 40 hours [1].")
    *chunks, last = results["stream"]
    assert _spoken(chunks).startswith("It is 40 hours [1].")
    assert (last["choices"], last["usage"]["completion_tokens"]) == ([], 2)
    assert _spoken(results["windowed"]).startswith("It is 40 hours [1].")
    assert _arguments(results["tools"]) == ARGUMENTS
    assert _arguments(results["tools_streamed"]) == ARGUMENTS
    assert results["tools_run"]["asked"] == [ARGUMENTS]
    assert results["tools_run"]["text"].startswith("It is 40 hours [1].")
    assert [choice["index"] for choice in results["several"]["choices"]] == [0, 1]
    assert len(results["logprobs"]["choices"][0]["logprobs"]["content"]) == 2
    assert results["schema"]["choices"][0]["message"]["content"] == "".join(server.json)
    assert "default" in results["models"]
    errors = [results[name] for name in ("unknown_key", "unknown_model", "bad_request")]
    assert [(error["kind"], error["code"]) for error in errors] == [
        ("AuthenticationError", "invalid_api_key"),
        ("NotFoundError", "model_not_found"),
        ("BadRequestError", "invalid_argument"),
    ]


def test_busy(gateway: Serving):
    gateway.model_server.status = 429
    busy = node("busy.mjs", gateway.base_url, KEY, QUESTION)
    assert busy == {"kind": "RateLimitError", "status": 429, "after": "3"}
