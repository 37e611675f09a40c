"""Fetches documents within bounds of place, size, time and number."""

import asyncio
from dataclasses import dataclass
from importlib.metadata import version
from typing import Protocol

import aiohttp
from aiohttp.abc import AbstractResolver
from yarl import URL

from sluice_api.media_types import MAX_CONTENT_BYTES
from sluice_retriever.fetching import bodies
from sluice_retriever.fetching.connecting import connector
from sluice_retriever.fetching.failures import FetchFailed
from sluice_retriever.fetching.policy import Policy

_MAX_REDIRECTS = 5
_REDIRECTS = frozenset({301, 302, 303, 307, 308})

_HEADERS = {
    "user-agent": f"Sluice/{version('sluice-retriever')}",
    "accept": "text/html, text/markdown, text/plain, application/pdf, */*;q=0.5",
    "accept-encoding": "gzip",
}


@dataclass(frozen=True, slots=True)
class Fetched:
    """A document as a server gave it."""

    content: bytes
    media_type: str
    """Empty where it is to be found out."""


class Fetching(Protocol):
    """Whatever fetches."""

    async def fetch(self, url: str) -> Fetched:
        """The document at a URL.

        Raises:
            Unfetched: there is none to be had.
        """
        ...


class Fetcher:
    """Fetches as a policy allows. Nothing of one fetch is left for the next: no connection, name or cookie.

    Args:
        policy: Where to.
        resolver: Looks names up; what it says is checked.
        seconds: What one document may take, redirects included.
        concurrency: How many are fetched at the same time.
    """

    def __init__(self, policy: Policy, resolver: AbstractResolver, seconds: float, concurrency: int) -> None:
        self._policy = policy
        self._resolver = resolver
        self._seconds = seconds
        self._turns = asyncio.Semaphore(concurrency)

    async def fetch(self, url: str) -> Fetched:
        """The document at a URL.

        Raises:
            NotAllowed: it, or where it leads, may not be asked for.
            FetchFailed: the server cannot be reached, or does not give one.
        """
        target = self._policy.target(url)
        async with self._turns:
            try:
                async with asyncio.timeout(self._seconds):
                    return await self._follow(target)
            except TimeoutError:
                raise FetchFailed(f"takes longer than {self._seconds:g} s") from None
            except (aiohttp.ClientError, OSError, ValueError) as error:
                raise FetchFailed(_words(error)) from error

    async def _follow(self, url: URL) -> Fetched:
        for _ in range(_MAX_REDIRECTS + 1):
            found = await self._ask(url)
            if isinstance(found, Fetched):
                return found
            url = found
        raise FetchFailed(f"more than {_MAX_REDIRECTS} redirects")

    async def _ask(self, url: URL) -> Fetched | URL:
        """What is there, or where the server redirects to."""
        async with (
            aiohttp.ClientSession(
                connector=connector(self._policy, url.raw_host or "", self._resolver),
                headers=_HEADERS,
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,  # unpacked below, within bounds
                timeout=aiohttp.ClientTimeout(),
            ) as session,
            session.get(url, allow_redirects=False) as response,
        ):
            if response.status in _REDIRECTS and "location" in response.headers:
                return self._policy.redirected(url, response.headers["location"])
            if response.status != 200:
                raise FetchFailed(f"the server answered {response.status}")
            body = await _read(response)
            content_type = response.headers.get("content-type", "")
            encoding = response.headers.get("content-encoding", "")
        content = await asyncio.to_thread(bodies.content, body, encoding, content_type)
        return Fetched(content, bodies.media_type(content_type, url))


async def _read(response: aiohttp.ClientResponse) -> bytes:
    if (response.content_length or 0) > MAX_CONTENT_BYTES:
        raise bodies.too_large()
    body = bytearray()
    async for piece in response.content.iter_any():
        body += piece
        if len(body) > MAX_CONTENT_BYTES:
            raise bodies.too_large()
    return bytes(body)


def _words(error: Exception) -> str:
    # In words of ours: aiohttp's name the addresses that were tried, which may lie inside.
    match error:
        case aiohttp.InvalidURL():
            return "not a URL that can be asked for"
        case aiohttp.ClientConnectorDNSError() | UnicodeError():  # the latter of names that DNS cannot hold
            return "the host's name cannot be resolved"
        case aiohttp.ClientConnectorCertificateError():
            return "the server's certificate is not trusted"
        case aiohttp.ClientConnectorError():
            return "the server cannot be reached"
        case aiohttp.ClientPayloadError():
            return "the answer broke off"
        case aiohttp.ServerDisconnectedError():
            return "the server hung up"
        case _:
            return f"the server does not speak HTTP as it should: {type(error).__name__}"
