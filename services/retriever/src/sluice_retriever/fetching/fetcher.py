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
from sluice_servicekit.fetching.failures import FetchFailed
from sluice_servicekit.fetching.following import opened, words
from sluice_servicekit.fetching.policy import Policy

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
                raise FetchFailed(words(error)) from error

    async def _follow(self, url: URL) -> Fetched:
        async with opened(self._policy, self._resolver, url, _HEADERS) as response:
            if response.status != 200:
                raise FetchFailed(f"the server answered {response.status}")
            body = await _read(response)
            content_type = response.headers.get("content-type", "")
            encoding = response.headers.get("content-encoding", "")
            kind = bodies.media_type(content_type, response.url)
        return Fetched(await asyncio.to_thread(bodies.content, body, encoding, content_type), kind)


async def _read(response: aiohttp.ClientResponse) -> bytes:
    if (response.content_length or 0) > MAX_CONTENT_BYTES:
        raise bodies.too_large()
    body = bytearray()
    async for piece in response.content.iter_any():
        body += piece
        if len(body) > MAX_CONTENT_BYTES:
            raise bodies.too_large()
    return bytes(body)
