"""What a real vLLM 0.32.0 was recorded to answer, asked again of another server: a double, or a real one.

An answer agrees where status and content type are the same, an error is the same to the letter, and other JSON has
the same keys and kinds; a stream's frames have the same shapes, which begin in the same order. A token without text
counts as one with: which tokens have text is the model's.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

_DATA = Path(__file__).parents[1] / "data"

#: Where the recorded server's adapters were.
ADAPTERS = "/adapters"

#: Strings that must be the same, by their keys.
_TOLD = frozenset(
    {"object", "model", "role", "owned_by", "root", "parent", "finish_reason", "message", "version"}
)


@dataclass(frozen=True, slots=True)
class Answer:
    """A reply."""

    status: int
    content_type: str | None
    body: str


@dataclass(frozen=True, slots=True)
class Case:
    """A request, and the reply that it got."""

    name: str
    method: str
    path: str
    body: Any
    headers: Mapping[str, str]
    """Other than the right ones; an empty one is left out."""
    answer: Answer = Answer(0, None, "")


def recorded(name: str) -> list[Case]:
    """The cases of `tests/data/vllm-0.32.0-{name}.json`, in their order."""
    cases = json.loads((_DATA / f"vllm-0.32.0-{name}.json").read_text())
    return [
        Case(
            each["case"],
            each["request"]["method"],
            each["request"]["path"],
            each["request"]["body"],
            each["request"].get("headers", {}),
            Answer(each["response"]["status"], each["response"]["content_type"], each["response"]["body"]),
        )
        for each in cases
    ]


def ask(client: httpx.Client, case: Case, adapters: Path) -> Answer:
    """Asks again, with adapters in a folder of our own; the reply speaks of the recorded one."""
    body = None if case.body is None else json.dumps(case.body).replace(ADAPTERS, str(adapters))
    headers = {
        **client.headers,
        **({} if body is None else {"content-type": "application/json"}),
        **case.headers,
    }
    asked = httpx.Request(
        case.method,
        client.base_url.join(case.path),
        content=body,
        headers={name: value for name, value in headers.items() if value},
    )
    reply = client.send(asked)
    text = reply.text.replace(str(adapters), ADAPTERS)
    return Answer(reply.status_code, reply.headers.get("content-type"), text)


def difference(expected: Answer, got: Answer) -> tuple[Any, Any] | None:
    """What was expected and what came instead; None where they agree."""
    if (expected.status, expected.content_type) != (got.status, got.content_type):
        return expected, got
    wanted, found = _seen(expected), _seen(got)
    return None if wanted == found else (wanted, found)


def families(exposition: str) -> dict[str, frozenset[str]]:
    """The labels of each of vLLM's own metrics that has a value."""
    found: dict[str, frozenset[str]] = {}
    for name, labels in re.findall(r"^(vllm:\w+)(?<!_created)\{([^}]*)\}", exposition, re.MULTILINE):
        found[name] = frozenset(re.findall(r'(\w+)="', labels))
    return found


def _seen(answer: Answer) -> Any:
    kind = (answer.content_type or "").partition(";")[0]
    if kind == "application/json":
        body = json.loads(answer.body)
        return _without_times(body) if "error" in body else shape(body)
    if kind == "text/event-stream":
        return _frames(answer.body)
    return answer.body


def _frames(stream: str) -> list[Any]:
    shapes = []
    for frame in stream.split("\n\n"):
        data = frame.removeprefix("data: ")
        each = shape(json.loads(data)) if data and data != "[DONE]" else data
        if each not in shapes:
            shapes.append(each)
    return shapes


def shape(value: Any, key: str = "") -> Any:
    """Keys and kinds; lists by their first element."""
    if key == "delta" and not value:
        value = {"content": ""}
    if key in ("bytes", "top_logprobs"):
        return key
    if isinstance(value, Mapping):
        return {name: shape(each, name) for name, each in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [shape(each) for each in value[:1]]
    if isinstance(value, str) and key in _TOLD:
        return value
    return type(value).__name__


def _without_times(body: Any) -> Any:
    """The grammar library's log line has the time in it."""
    return json.loads(re.sub(r"\[\d\d:\d\d:\d\d\]", "[time]", json.dumps(body)))
