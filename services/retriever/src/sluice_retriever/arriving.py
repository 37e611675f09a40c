"""Documents as they arrive: fetched where they name a URL, and with the time when they expire."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace

from prometheus_client import Counter

from sluice_retriever.domain import documents
from sluice_retriever.domain.model import Document
from sluice_retriever.fetching.fetcher import Fetching
from sluice_servicekit import telemetry_names as names
from sluice_servicekit.fetching.failures import Unfetched

_FETCHED = Counter(names.DOCUMENTS_FETCHED, "Documents fetched by URL, or not", ("outcome",))


class Arrivals:
    """Makes documents ready to be planned.

    Args:
        fetcher: Fetches those that name a URL.
        clock: Epoch seconds.
    """

    def __init__(self, fetcher: Fetching, clock: Callable[[], float]) -> None:
        self._fetcher = fetcher
        self._clock = clock

    async def complete(self, group: Sequence[Document], expire_after: float | None) -> list[Document]:
        """The documents in order; what one cannot be had for is its refusal.

        Args:
            group: As their owner sent them.
            expire_after: Seconds that the knowledge base keeps a document that names no time itself.
        """
        now = self._clock()
        dated = [documents.expiring(document, now, expire_after) for document in group]
        return await asyncio.gather(*(self._complete(document) for document in dated))

    async def _complete(self, document: Document) -> Document:
        if not document.url or documents.refusal(document):
            return document
        try:
            fetched = await self._fetcher.fetch(document.url)
        except Unfetched as error:
            _FETCHED.labels(error.reason.lower()).inc()
            return replace(document, refusal=str(error))
        _FETCHED.labels("fetched").inc()
        return replace(
            document,
            url="",
            content=fetched.content,
            media_type=document.media_type or fetched.media_type,
            metadata_json=documents.with_url(document.metadata_json, document.url),
        )
