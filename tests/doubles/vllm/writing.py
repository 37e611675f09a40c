"""What a double writes: a test's own words, or words drawn from the adapter and the prompt."""

import json
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from doubles.vllm.adapters import Adapter

Json = dict[str, Any]

_WORDS = (
    *(
        "press",
        "kiln",
        "loom",
        "oil",
        "after",
        "forty",
        "hours",
        "of",
        "work",
        "the",
        "a",
        "is",
        "made",
        "in",
    ),
    *(
        "Lisbon",
        "Porto",
        "burns",
        "clay",
        "weaves",
        "cloth",
        "staff",
        "may",
        "clean",
        "it",
        "before",
        "shift",
    ),
)


@dataclass(frozen=True, slots=True)
class Call:
    """A call of a tool, as the model writes it."""

    name: str
    fragments: tuple[str, ...]
    """Of its arguments."""
    id: str = "chatcmpl-tool-94d54f6dafe0ec5b"


@dataclass(frozen=True, slots=True)
class Request:
    """What it was asked."""

    method: str
    path: str
    body: Json
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Asked:
    """A request that the engine is to answer."""

    body: Json
    headers: Mapping[str, str]
    adapter: Adapter | None
    prompt: str
    most: int
    """Tokens that may be written."""


@dataclass(frozen=True, slots=True)
class Written:
    """One reply; each piece is a token."""

    answers: tuple[tuple[str, ...], ...]
    """One for each that is asked for."""
    finish_reason: str = "stop"
    calls: tuple[Call, ...] = ()
    """What it calls in place of an answer."""
    reasoning: tuple[str, ...] = ()
    """What it thinks first."""
    prompt_tokens: int | None = None
    """Said in place of what the prompt has."""
    break_after: int | None = None
    """Cuts the connection after so many pieces."""
    silent_seconds: float = 0.0
    silent_before: int = 0
    """The piece before which it is silent."""


#: Writes, or raises an `ApiError`.
Writer = Callable[[Asked], Written]


def text(weights: str, prompt: str, tokens: int) -> str:
    """What `drawing` answers: the same for the same weights and prompt, always something else for others."""
    return "".join(_pieces(weights, prompt, tokens))


def compact(body: Json) -> bytes:
    """JSON as vLLM's server spells it."""
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()


def drawing(answer_tokens: int) -> Writer:
    """Draws words, as many as may be written up to `answer_tokens`; several answers are all the same."""

    def write(asked: Asked) -> Written:
        count = min(asked.most, answer_tokens)
        pieces = _pieces(asked.adapter.weights if asked.adapter else "", asked.prompt, count)
        reason = "length" if asked.most <= answer_tokens else "stop"
        return Written((pieces,) * asked.body.get("n", 1), reason)

    return write


def _pieces(weights: str, prompt: str, count: int) -> tuple[str, ...]:
    drawn = random.Random(f"{weights}\n{prompt}")
    return tuple(f" {word}" for word in drawn.choices(_WORDS, k=count))
