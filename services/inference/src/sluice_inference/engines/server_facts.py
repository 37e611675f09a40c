"""What a server tells of its models: how much they hold, and how many tokens a prompt has. What it does not tell in
time is done without."""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

import aiohttp

from sluice_inference.domain.model import Message
from sluice_inference.domain.tools import Tools
from sluice_inference.engines import chat_body
from sluice_inference.engines.client import Client, Path
from sluice_servicekit.errors import ServiceError, Unavailable

Json = dict[str, Any]

#: Asks one of the replicas: a path, and a body to post, or none to get. None where it has no such path. Raises
#: `ServiceError` where it cannot be asked.
Ask = Callable[[Path, Json | None], Awaitable[Json | None]]

#: Seconds that an answer may take, that it holds, and that a server is left alone after a failure.
_PATIENCE, _HOLDS, _PAUSE = 0.5, 600.0, 30.0


#: What servers answer that have it not, or not for us.
_NO_SUCH_PATH = {401, 403, 404, 405, 501}


@dataclass(frozen=True, slots=True)
class _Told:
    value: int | None
    until: float


class ServerFacts:
    """Facts of one model server, whose replicas are equal."""

    def __init__(self, ask: Ask, clock: Callable[[], float] = time.monotonic) -> None:
        self._ask = ask
        self._clock = clock
        self._contexts: dict[str, _Told] = {}
        self._asking = asyncio.Lock()
        #: When `/tokenize` may be asked again.
        self._counts_from = 0.0

    async def context(self, model: str) -> int | None:
        """How many tokens a model holds, prompt and answer; None where the server does not tell. Asked for once in ten
        minutes."""
        told = self._contexts.get(model)
        if told is None or told.until <= self._clock():
            async with self._asking:
                told = self._contexts.get(model)
                if told is None or told.until <= self._clock():
                    told = await self._context(model, told)
                    self._contexts[model] = told
        return told.value

    async def count(self, model: str, messages: Sequence[Message], tools: Tools) -> int | None:
        """The tokens of a prompt as the server makes them of it; None where it does not tell."""
        if self._counts_from > self._clock():
            return None
        body = {
            "model": model,
            "messages": chat_body.messages_of(messages),
            "add_generation_prompt": True,
            **({"tools": chat_body.tools_of(tools)} if tools.functions else {}),
        }
        try:
            async with asyncio.timeout(_PATIENCE):
                told = await self._ask(Path.TOKENIZE, body)
        except (TimeoutError, ServiceError):
            self._counts_from = self._clock() + _PAUSE
            return None
        count = (told or {}).get("count")
        if isinstance(count, int) and count > 0:
            return count
        self._counts_from = self._clock() + _HOLDS
        return None

    async def _context(self, model: str, before: _Told | None) -> _Told:
        now = self._clock()
        try:
            async with asyncio.timeout(_PATIENCE):
                told = await self._ask(Path.MODELS, None)
        except (TimeoutError, ServiceError):
            return _Told(before.value if before else None, now + _PAUSE)
        return _Told(context_length(told or {}, model), now + _HOLDS)


async def ask(client: Client, base_url: str, path: Path, body: Json | None) -> Json | None:
    """What one server answers; see `Ask`.

    Args:
        base_url: Ends in `/v1`.
    """
    asking = (
        client.get(base_url, path, _PATIENCE, with_key=True)
        if body is None
        else client.post(base_url, path, body)
    )
    try:
        async with asking as response:
            if response.status in _NO_SUCH_PATH:
                return None
            told = json.loads(await response.read()) if response.status == 200 else None
    except (aiohttp.ClientError, TimeoutError, ValueError) as error:
        raise Unavailable(f"{path} cannot be asked: {type(error).__name__}") from error
    if not isinstance(told, dict):
        raise Unavailable(f"{path} was answered with {response.status}")
    return told


def context_length(models: Json, model: str) -> int | None:
    """A model's context by the server's list of models: its own, that of the model that it adapts, or the shortest;
    None where the list holds none. vLLM gives `max_model_len` for base models, and an adapter's `parent`."""
    data = models.get("data")
    cards = (
        {str(card.get("id")): card for card in data if isinstance(card, dict)}
        if isinstance(data, list)
        else {}
    )
    lengths = {name: length for name, card in cards.items() if (length := _length(card))}
    parent = str(cards.get(model, {}).get("parent"))
    return lengths.get(model) or lengths.get(parent) or min(lengths.values(), default=None)


def _length(card: Json) -> int | None:
    length = card.get("max_model_len")
    return length if isinstance(length, int) and length > 0 else None
