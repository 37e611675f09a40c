"""A keyword store that is down for a while, and what is done about what it missed."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Mapping, Sequence

import numpy as np
import pytest
import pytest_asyncio

from sluice_retriever.domain.model import Chunk, Span
from sluice_retriever.keyword import entries
from sluice_retriever.keyword.paired_store import PairedStore
from sluice_retriever.keyword.reconciling import Reconciler
from sluice_retriever.keyword.store import Entry, Hits
from sluice_retriever.store.messages import Coded, Part, Piece, Stocked, Stored
from sluice_servicekit.errors import Unavailable

TENANT = "acme"


class Keyword:
    """A store in memory that can be down."""

    def __init__(self) -> None:
        self.down = False
        self.entries: dict[str, Entry] = {}

    def _check(self) -> None:
        if self.down:
            raise Unavailable("down")

    async def ensure(self) -> None:
        self._check()

    async def write(self, entries: Sequence[Entry]) -> None:
        self._check()
        self.entries.update((entry.point_id, entry) for entry in entries)

    async def delete_writes(self, tenant: str, write_ids: Sequence[str]) -> None:
        self._check()
        kept = {key: each for key, each in self.entries.items() if each.write_id not in write_ids}
        self.entries = kept

    async def search(self, tenant: str, query: str, limit: int) -> Hits:
        raise NotImplementedError

    async def count(self, tenant: str) -> int:
        return len(self.entries)

    async def tenants(self) -> set[str]:
        self._check()
        return {entry.tenant for entry in self.entries.values()}

    async def writes(self, tenant: str) -> Mapping[str, int]:
        self._check()
        writes = [entry.write_id for entry in self.entries.values() if entry.tenant == tenant]
        return {write: writes.count(write) for write in writes}

    async def close(self) -> None:
        pass


class Vectors:
    """What the pair asks of a vector store, in memory."""

    def __init__(self) -> None:
        self.parts: dict[tuple[str, str], Part] = {}
        self.pending: dict[str, list[Part]] = {}
        self.lose_the_answer = False

    async def stored(self, tenant: str, document_ids: Sequence[str]) -> dict[str, Stored]:
        found = ((document, self.parts.get((tenant, document))) for document in document_ids)
        return {name: Stored("", len(part.pieces), part.write_id) for name, part in found if part}

    async def write(self, parts: Sequence[Part]) -> None:
        for part in parts:
            if part.total is not None:
                self.parts[part.tenant, part.document_id] = part
        if self.lose_the_answer:
            raise Unavailable("the worker died")

    async def abandon(self, tenant: str, write_ids: Sequence[str]) -> None:
        pass

    async def delete(self, tenant: str, document_ids: Sequence[str]) -> int:
        return sum(self.parts.pop((tenant, document), None) is not None for document in document_ids)

    async def inventory(self, after: tuple[str, str], limit: int) -> list[Stocked]:
        rows = sorted(self.parts.items())
        return [
            Stocked(*key, part.write_id, "", len(part.pieces), None) for key, part in rows if key > after
        ][:limit]

    async def read(self, row: Stocked, start: int, count: int) -> Part | None:
        part = self.parts.get((row.tenant, row.document_id))
        return part if part is not None and part.write_id == row.write_id else None

    async def close(self) -> None:
        pass


def part(document: str, *texts: str, tenant: str = TENANT, ends: bool = True) -> Part:
    write = uuid.uuid4().hex
    empty = np.zeros((1, 1))
    coded = Coded(empty, {}, empty)
    pieces = tuple(Piece(Chunk(text, (), (Span(0, 1),)), uuid.uuid4().hex, "", coded) for text in texts)
    total = len(texts) if ends else None
    return Part(write, tenant, document, "", "{}", (), None, pieces, 0, total)


@pytest.fixture
def keyword() -> Keyword:
    return Keyword()


@pytest.fixture
def vectors() -> Vectors:
    return Vectors()


@pytest_asyncio.fixture
async def pair(keyword: Keyword, vectors: Vectors) -> AsyncIterator[PairedStore]:
    pair = PairedStore("kb", vectors, keyword)
    await pair.start()
    yield pair
    await pair.close()


def _in_force(vectors: Vectors) -> set[str]:
    return {entry.point_id for part in vectors.parts.values() for entry in entries.of_part(part)}


async def _level(keyword: Keyword, vectors: Vectors) -> None:
    async with asyncio.timeout(10):
        while set(keyword.entries) != _in_force(vectors):  # noqa: ASYNC110 - the store has no event
            await asyncio.sleep(0.01)


async def test_what_a_store_missed_while_it_was_down_is_made_good(
    pair: PairedStore, keyword: Keyword, vectors: Vectors
):
    await pair.write([part("one", "a", "b")])
    assert set(keyword.entries) == _in_force(vectors)
    keyword.down = True
    await pair.write([part("one", "c"), part("two", "d")])
    await pair.delete(TENANT, ["two"])
    await pair.write([part("three", "e", tenant="other")])
    assert len(_in_force(vectors)) == 2
    keyword.down = False
    await _level(keyword, vectors)


async def test_store_that_is_down_at_first_is_filled_when_it_comes(keyword: Keyword, vectors: Vectors):
    keyword.down = True
    pair = PairedStore("kb", vectors, keyword)
    await pair.start()
    await pair.write([part("one", "a")])
    assert not keyword.entries
    keyword.down = False
    await _level(keyword, vectors)
    await pair.close()


async def test_write_that_is_abandoned_leaves_nothing(pair: PairedStore, keyword: Keyword, vectors: Vectors):
    begun = part("one", "a", ends=False)
    await pair.write([begun])
    assert len(keyword.entries) == 1
    await pair.abandon(TENANT, [begun.write_id])
    assert not keyword.entries


async def test_write_whose_answer_was_lost_keeps_its_entries(
    pair: PairedStore, keyword: Keyword, vectors: Vectors
):
    ended = part("one", "a")
    vectors.lose_the_answer = True
    with pytest.raises(Unavailable):
        await pair.write([ended])
    await pair.abandon(TENANT, [ended.write_id])
    assert set(keyword.entries) == _in_force(vectors)
    assert len(keyword.entries) == 1


async def test_fault_of_the_keyword_store_fails_no_write(
    pair: PairedStore, keyword: Keyword, vectors: Vectors
):
    keyword.entries = None
    await pair.write([part("one", "a")])
    assert len(vectors.parts) == 1
    keyword.entries = {}
    await _level(keyword, vectors)


async def test_comparison_leaves_alone_what_is_being_written_and_removes_what_is_over(
    keyword: Keyword, vectors: Vectors
):
    pending, over, half = part("one", "a"), part("two", "b"), part("three", "c", "d")
    vectors.parts[TENANT, "three"] = half
    await keyword.write([*entries.of_part(pending), *entries.of_part(over), *entries.of_part(half)[:1]])
    reconciler = Reconciler(vectors, keyword, lambda: {pending.write_id}, grace=0.0)
    done = await reconciler.run()
    assert (done.added, done.removed) == (1, 1)
    assert await keyword.writes(TENANT) == {pending.write_id: 1, half.write_id: 2}


async def test_what_others_may_be_writing_is_removed_only_after_a_while(keyword: Keyword, vectors: Vectors):
    now = 100.0
    await keyword.write(entries.of_part(part("one", "a")))
    reconciler = Reconciler(vectors, keyword, set, grace=60.0, clock=lambda: now)
    await reconciler.run()
    now += 59.0
    await reconciler.run()
    assert len(keyword.entries) == 1
    now += 1.0
    await reconciler.run()
    assert not keyword.entries


async def test_all_tenants_and_pages_are_compared(keyword: Keyword, vectors: Vectors):
    for tenant in ("a", "b", "c"):
        for number in range(501 if tenant == "b" else 3):
            each = part(f"{number:04}", "text", tenant=tenant)
            vectors.parts[tenant, each.document_id] = each
    await keyword.write(entries.of_part(part("gone", "x", tenant="bb")))
    await Reconciler(vectors, keyword, set, grace=0.0).run()
    assert set(keyword.entries) == _in_force(vectors)
