"""Elasticsearch and OpenSearch as keyword stores.

Six endpoints that both document alike, over aiohttp. Elastic's own client refuses OpenSearch, OpenSearch's promises
nothing about Elasticsearch and brings a protobuf of its own; either is aiohttp underneath.
"""

import asyncio
import json
from collections.abc import Mapping, Sequence

import aiohttp
from yarl import URL

from sluice_api.objects.knowledge_base import Language
from sluice_retriever.keyword import question, search_bodies
from sluice_retriever.keyword.search_bodies import Json
from sluice_retriever.keyword.store import Entry, Hits
from sluice_servicekit import deadlines
from sluice_servicekit.errors import DeadlineExceeded, FailedPrecondition, Unavailable

#: Seconds for a request, where the call has no nearer deadline, and to reach the server.
_LONGEST, _CONNECT = 30.0, 2.0

#: Entries in one request; some 1 MB. A server takes 10 MB and more.
_BATCH = 500

#: How often entries are sent that the server has no room for, and seconds before the second time, doubled each time.
_ATTEMPTS, _PAUSE = 4, 0.25

#: Write ids in one query; servers take 65,536.
_WRITES = 1000


class SearchServerStore:
    """A knowledge base's index on a server; see `KeywordStore`. Entries are found after the index's next refresh, a
    second later unless the index says otherwise.

    Args:
        url: The server's; a path in it comes before every path.
        index: Its index; made where there is none.
        language: Stop words and stems of an index made here.
        secret: `user:password` or an API key; empty for none.
        secret_name: What `apiKeySecret` says, for people.
    """

    def __init__(
        self, url: str, index: str, language: Language, secret: str = "", secret_name: str = ""
    ) -> None:
        self._base = URL(url.rstrip("/"))
        self._index = index
        self._language = language
        self._headers = search_bodies.authorization(secret)
        self._secret_name = secret_name
        self._session: aiohttp.ClientSession | None = None

    async def ensure(self) -> None:
        """Makes the index, or checks that the one there can be used.

        Raises:
            FailedPrecondition: it cannot, or the server refuses.
        """
        found = await self._ask("GET", "", missing=True)
        if found is None:
            await self._ask("PUT", "", search_bodies.index(self._language))
        elif why := search_bodies.unfit(found, self._language):
            raise FailedPrecondition(
                f"the index {self._index!r} at {self._origin} cannot be used: {why}; name another one in keyword,"
                " or delete it",
                reason="KEYWORD_INDEX_UNFIT",
            )

    async def write(self, entries: Sequence[Entry]) -> None:
        """Writes entries; what the server has no room for is sent again, a few times."""
        for start in range(0, len(entries), _BATCH):
            await self._write(entries[start : start + _BATCH])

    async def delete_writes(self, tenant: str, write_ids: Sequence[str]) -> None:
        """Removes the entries of these writes."""
        if not write_ids:
            return
        # What is not refreshed is not found, and so would not be deleted.
        await self._ask("POST", "_refresh")
        parameters = {"routing": tenant, "conflicts": "proceed"}
        for start in range(0, len(write_ids), _WRITES):
            body = search_bodies.of_writes(tenant, write_ids[start : start + _WRITES])
            await self._ask("POST", "_delete_by_query", body, parameters)

    async def search(self, tenant: str, query: str, limit: int) -> Hits:
        """The tenant's best entries."""
        body = search_bodies.search(tenant, question.parse(query), limit, deadlines.remaining())
        reply = await self._ask("POST", "_search", body, {"routing": tenant})
        return search_bodies.hits(reply or {})

    async def count(self, tenant: str) -> int:
        """How many entries a tenant has, as of the last refresh."""
        reply = await self._ask("POST", "_count", search_bodies.of_tenant(tenant), {"routing": tenant})
        return int((reply or {})["count"])

    async def tenants(self) -> set[str]:
        """Who has entries here."""
        return set(await self._values(search_bodies.TENANT, None))

    async def writes(self, tenant: str) -> Mapping[str, int]:
        """A tenant's writes, with how many entries each has."""
        return await self._values(search_bodies.WRITE, tenant)

    async def close(self) -> None:
        """Closes the connections."""
        if self._session is not None:
            await self._session.close()

    @property
    def _origin(self) -> str:
        return str(self._base.origin())  # without a user and a password

    async def _write(self, entries: Sequence[Entry]) -> None:
        left = list(entries)
        for attempt in range(_ATTEMPTS):
            if attempt:
                await asyncio.sleep(_PAUSE * 2 ** (attempt - 1))
            reply = await self._ask("POST", "_bulk", search_bodies.bulk(left))
            left = search_bodies.unwritten(reply or {}, left)
            if not left:
                return
        raise Unavailable(
            f"the search server at {self._origin} has no room for more at present",
            reason="KEYWORD_STORE_BUSY",
            retry_after=1.0,
        )

    async def _values(self, field: str, tenant: str | None) -> dict[str, int]:
        await self._ask("POST", "_refresh")
        found: dict[str, int] = {}
        after: str | None = None
        while True:
            body = search_bodies.page(field, tenant, after)
            reply = await self._ask("POST", "_search", body, {"routing": tenant} if tenant else {})
            more = search_bodies.values(reply or {}, field)
            found.update(more)
            if len(more) < search_bodies.PAGE:
                return found
            after = list(more)[-1]

    async def _ask(
        self,
        method: str,
        path: str,
        body: Json | bytes | None = None,
        parameters: Mapping[str, str] | None = None,
        *,
        missing: bool = False,
    ) -> Json | None:
        """The reply to a request about the index; None where there is no such index and it may be `missing`."""
        lines = isinstance(body, bytes)
        data = body if lines else json.dumps(body).encode() if body is not None else None
        kind = "application/x-ndjson" if lines else "application/json"
        timeout = aiohttp.ClientTimeout(total=deadlines.cap(_LONGEST), sock_connect=_CONNECT)
        try:
            async with self._connected().request(
                method,
                self._base / self._index / path if path else self._base / self._index,
                data=data,
                params=parameters,
                headers={**self._headers, "content-type": kind},
                timeout=timeout,
                allow_redirects=False,
            ) as response:
                received = await response.read()
                status = response.status
        except aiohttp.ConnectionTimeoutError as error:
            raise Unavailable(
                f"the search server at {self._origin} cannot be reached in time",
                reason="KEYWORD_STORE_UNREACHABLE",
            ) from error
        except TimeoutError as error:
            raise DeadlineExceeded(f"the search server at {self._origin} did not answer in time") from error
        except aiohttp.ClientError as error:
            raise Unavailable(
                f"the search server at {self._origin} cannot be reached: {type(error).__name__}",
                reason="KEYWORD_STORE_UNREACHABLE",
            ) from error
        if status == 404 and missing:
            return None
        if not 200 <= status < 300:
            raise search_bodies.failure(status, received, self._secret_name)
        return _parsed(received)

    def _connected(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))
        return self._session


def _parsed(received: bytes) -> Json:
    try:
        reply = json.loads(received)
    except ValueError:
        reply = None
    if not isinstance(reply, dict):
        raise Unavailable("the search server's answer is no JSON object", reason="KEYWORD_STORE_FAILED")
    return reply
