"""Requests to servers that a source names: GET alone, to checked addresses, and failures by reason."""

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from importlib.metadata import version
from typing import Any, Final

import aiohttp
from aiohttp.abc import AbstractResolver
from yarl import URL

from sluice_inference.adapter_agent import files
from sluice_inference.adapter_agent.reasons import Reason, failure
from sluice_inference.adapter_agent.sink import Sink, Writer, too_large
from sluice_servicekit.errors import ServiceError
from sluice_servicekit.fetching.failures import FetchFailed, NotAllowed
from sluice_servicekit.fetching.following import opened, words
from sluice_servicekit.fetching.policy import Policy

#: Files come as they are: their digests are of what was stored.
_HEADERS: Final = {
    "user-agent": f"Sluice/{version('sluice-inference')}",
    "accept": "*/*",
    "accept-encoding": "identity",
}
_MAX_JSON: Final = 8 << 20


class Remote:
    """Asks servers as a policy allows.

    Args:
        policy: Where to.
        resolver: Looks names up; what it says is checked.
    """

    def __init__(self, policy: Policy, resolver: AbstractResolver) -> None:
        self._policy = policy
        self._resolver = resolver

    @asynccontextmanager
    async def answer(
        self, url: str, headers: Mapping[str, str] | None = None
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """What a server answers, redirects followed, whatever its status.

        Raises:
            ServiceError: it may not be asked (`SOURCE_ADDRESS_REFUSED`) or cannot be (`SOURCE_UNAVAILABLE`).
        """
        try:
            target = self._policy.target(url)
            async with opened(
                self._policy, self._resolver, target, {**_HEADERS, **(headers or {})}
            ) as response:
                yield response
        except NotAllowed as error:
            message = f"{error.args[0]}; SLUICE_FETCH and SLUICE_FETCH_PORTS say what is"
            raise failure(Reason.SOURCE_ADDRESS_REFUSED, message) from None
        except FetchFailed as error:
            raise failure(Reason.SOURCE_UNAVAILABLE, f"{host(url)}: {error.args[0]}") from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise failure(Reason.SOURCE_UNAVAILABLE, f"{host(url)}: {words(error)}") from None

    async def json(self, url: str, headers: Mapping[str, str] | None = None) -> Any:
        """The JSON that a server answers with 200.

        Raises:
            ServiceError: as `answer` and `check` do, or it is none (`SOURCE_REFUSED`).
        """
        async with self.answer(url, headers) as response:
            check(response, host(url))
            return parsed(await body(response), host(url))

    async def download(
        self, url: str, sink: Sink, name: str, headers: Mapping[str, str] | None = None
    ) -> None:
        """Puts what a server answers with 200 into a sink, under a name.

        Raises:
            ServiceError: as `answer` and `check` do, or it is too large.
        """
        async with self.answer(url, headers) as response:
            check(response, f"{host(url)}: {name}")
            async with sink.file(name) as writer:
                await pour(response, sink, writer)


async def pour(response: aiohttp.ClientResponse, sink: Sink, writer: Writer) -> None:
    """A body, into a file."""
    async for piece in pieces(response, sink):
        await writer.write(piece)


async def pieces(response: aiohttp.ClientResponse, sink: Sink) -> AsyncIterator[bytes]:
    """A body in pieces of about a mebibyte, counted; no more than a sink takes."""
    length = response.content_length or 0
    if length > sink.max_bytes:
        raise too_large(host(str(response.url)), sink.max_bytes)
    sink.expected += length
    kept = bytearray()
    total = 0
    async for piece in response.content.iter_any():
        sink.came += len(piece)
        total += len(piece)
        if total > sink.max_bytes:
            raise too_large(host(str(response.url)), sink.max_bytes)
        kept += piece
        if len(kept) >= files.PIECE:
            yield bytes(kept)
            kept.clear()
    if kept:
        yield bytes(kept)


async def body(response: aiohttp.ClientResponse) -> bytes:
    """A body that is no file: a few mebibytes at most."""
    found = bytearray()
    async for piece in response.content.iter_any():
        found += piece
        if len(found) > _MAX_JSON:
            raise failure(
                Reason.SOURCE_REFUSED, f"{host(str(response.url))} answers more than {_MAX_JSON} bytes"
            )
    return bytes(found)


def parsed(content: bytes, who: str) -> Any:
    """JSON of a server that speaks it.

    Raises:
        ServiceError: it is none (`SOURCE_REFUSED`).
    """
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        raise failure(Reason.SOURCE_REFUSED, f"{who} does not answer with JSON") from None


def check(response: aiohttp.ClientResponse, what: str, said: str = "") -> None:
    """Lets 200 pass.

    Args:
        what: Was asked for, for people.
        said: The server's own words.

    Raises:
        ServiceError: by the status.
    """
    if response.status != 200:
        raise refusal(response.status, what, said)


def refusal(status: int, what: str, said: str = "") -> ServiceError:
    """The failure that a status stands for."""
    words_ = f" ({said[:200]})" if said else ""
    match status:
        case 401 | 403:
            message = f"{what} may not be read with what the agent has{words_}: HTTP {status}"
            return failure(Reason.SOURCE_FORBIDDEN, message)
        case 404 | 410:
            return failure(Reason.SOURCE_NOT_FOUND, f"{what} is not there{words_}: HTTP {status}")
        case 408 | 425 | 429 | 500 | 502 | 503 | 504:
            return failure(Reason.SOURCE_UNAVAILABLE, f"{what} cannot be had now{words_}: HTTP {status}")
        case _:
            return failure(Reason.SOURCE_REFUSED, f"{what} is refused{words_}: HTTP {status}")


def host(url: str) -> str:
    """The host of a URL, which is all of it that messages show: the rest may be signed."""
    try:
        return URL(url).host or "the server"
    except ValueError:
        return "the server"
