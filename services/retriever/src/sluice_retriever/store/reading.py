"""Going through what a store holds: documents in pages, a document in runs of chunks."""

from collections.abc import AsyncIterator

from sluice_retriever.store.messages import Part, Stocked
from sluice_retriever.store.store import Store

#: Documents that are compared at once.
PAGE = 500

#: Chunks that are read, encoded and written in one go: some 7 MB of vectors, a few seconds on two cores.
SLICE_CHUNKS = 64


async def documents_of(store: Store) -> AsyncIterator[list[Stocked]]:
    """Documents of all tenants in force, by tenant and id."""
    after = ("", "")
    while page := await store.inventory(after, PAGE):
        yield page
        after = page[-1].tenant, page[-1].document_id


async def parts_of(store: Store, row: Stocked) -> AsyncIterator[Part]:
    """A document as it was stored; it ends early where the document was replaced meanwhile."""
    start = 0
    while start < row.chunks and (part := await store.read(row, start, SLICE_CHUNKS)) is not None:
        yield part
        start += len(part.pieces)
