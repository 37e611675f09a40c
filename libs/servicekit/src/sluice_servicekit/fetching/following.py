"""One GET, redirects included: each hop is a URL like the first, on a connection of its own."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import aiohttp
from aiohttp.abc import AbstractResolver
from yarl import URL

from sluice_servicekit.fetching.connecting import connector
from sluice_servicekit.fetching.failures import FetchFailed
from sluice_servicekit.fetching.policy import Policy

_MAX_REDIRECTS = 5
_REDIRECTS = frozenset({301, 302, 303, 307, 308})

#: What says who asks; the server that a redirect leads to is not told.
_CREDENTIALS = frozenset({"authorization", "cookie"})


@asynccontextmanager
async def opened(
    policy: Policy, resolver: AbstractResolver, url: URL, headers: Mapping[str, str]
) -> AsyncIterator[aiohttp.ClientResponse]:
    """The answer that redirects end in, whatever its status; its body is yet to be read and not unpacked.

    Nothing is left for the next request: no connection, name or cookie. Time and size are for the caller to bound.

    Args:
        policy: Where to.
        resolver: Looks names up; what it says is checked.
        url: As `Policy.target` gives it.
        headers: By lower-case names. Those that say who asks go no further than the URL's origin.

    Raises:
        NotAllowed: it, or where it leads, may not be asked for.
        FetchFailed: too many redirects, or one to what is no URL.
        aiohttp.ClientError, OSError, ValueError: the server cannot be reached, or does not speak HTTP; see `words`.
    """
    for _ in range(_MAX_REDIRECTS + 1):
        async with (
            aiohttp.ClientSession(
                connector=connector(policy, url.raw_host or "", resolver),
                headers=headers,
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,  # unpacked by the caller, within bounds
                timeout=aiohttp.ClientTimeout(),
            ) as session,
            session.get(url, allow_redirects=False) as response,
        ):
            if response.status not in _REDIRECTS or "location" not in response.headers:
                yield response
                return
            target = policy.redirected(url, response.headers["location"])
        if target.origin() != url.origin():
            headers = {name: value for name, value in headers.items() if name not in _CREDENTIALS}
        url = target
    raise FetchFailed(f"more than {_MAX_REDIRECTS} redirects")


def words(error: Exception) -> str:
    """What a failed request says to a person, in words of ours: aiohttp's name the addresses that were tried, which
    may lie inside."""
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
