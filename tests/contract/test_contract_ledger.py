"""What a ledger has to do, on every engine: documents are in force whole or not at all."""

import asyncio

import pytest
from qdrant_client import models

from sluice_api.objects.retrieval import TokenMatch
from sluice_retriever.domain.model import DocumentSummary, Usage
from sluice_retriever.store.messages import Stocked, Stored, WriteLost
from sluice_retriever.store.schema import Payload
from support.engines import Engine, part


async def visible(engine: Engine, tenant: str = "acme") -> dict[str, list[str]]:
    """The texts of the chunks that a search may show, by document."""
    mine = models.FieldCondition(key=Payload.TENANT, match=models.MatchValue(value=tenant))
    shown = models.Filter(must=[mine], must_not=engine.ledger.hidden(tenant))
    records, rest = await engine.backend.scroll(tenant, shown, 1000)
    assert rest is None
    found: dict[str, list[str]] = {}
    for record in records:
        assert record.payload is not None
        found.setdefault(record.payload[Payload.DOCUMENT], []).append(record.payload[Payload.TEXT])
    return {document: sorted(texts) for document, texts in found.items()}


async def test_a_document_is_seen_once_all_of_it_is_written(engine: Engine) -> None:
    await engine.store.write([part("w1", count=2)])
    before = await visible(engine), await engine.ledger.stored("acme", ["d"])
    await engine.store.write([part("w1", start=2)])

    assert before == ({}, {})
    assert await visible(engine) == {"d": ["w1 0", "w1 1", "w1 2"]}
    assert await engine.ledger.stored("acme", ["d", "e"]) == {"d": Stored("x", 3, "w1", None)}


async def test_a_newer_write_takes_the_place_of_the_older(engine: Engine) -> None:
    await engine.store.write([part("w1")])
    await engine.store.write([part("w2", chunks=2, count=1, digest="y")])
    during = await visible(engine)
    await engine.store.write([part("w2", chunks=2, start=1, digest="y")])

    assert during == {"d": ["w1 0", "w1 1", "w1 2"]}
    assert await visible(engine) == {"d": ["w2 0", "w2 1"]}
    assert await engine.ledger.usage("acme") == Usage(1, 2)


async def test_the_later_of_two_writes_sent_together_is_in_force(engine: Engine) -> None:
    await engine.store.write([part("w1"), part("w2")])

    assert await visible(engine) == {"d": ["w2 0", "w2 1", "w2 2"]}


async def test_an_abandoned_write_leaves_the_older_in_force(engine: Engine) -> None:
    await engine.store.write([part("w1")])
    await engine.store.write([part("w2", count=2)])
    await engine.store.abandon("acme", ["w1", "w2"])

    assert await visible(engine) == {"d": ["w1 0", "w1 1", "w1 2"]}
    with pytest.raises(WriteLost):
        await engine.store.write([part("w2", start=2)])


async def test_a_document_without_chunks_is_stored(engine: Engine) -> None:
    await engine.store.write([part("w1", chunks=0)])

    assert await engine.ledger.stored("acme", ["d"]) == {"d": Stored("x", 0, "w1", None)}


async def test_tenants_do_not_share_documents(engine: Engine) -> None:
    await engine.store.write([part("w1"), part("w2", tenant="bolt", chunks=1)])
    deleted = await engine.store.delete("bolt", ["d", "e"])

    assert deleted == 1
    assert await visible(engine, "bolt") == {}
    assert await visible(engine) == {"d": ["w1 0", "w1 1", "w1 2"]}
    assert await engine.ledger.usage("bolt") == Usage(0, 0)


async def test_a_deletion_leaves_a_write_that_goes_on(engine: Engine) -> None:
    await engine.store.write([part("w1")])
    await engine.store.write([part("w2", count=2)])
    await engine.store.delete("acme", ["d"])
    await engine.store.write([part("w2", start=2)])

    assert await visible(engine) == {"d": ["w2 0", "w2 1", "w2 2"]}


async def test_documents_come_by_id_in_pages(engine: Engine) -> None:
    names = ["b/2", "a", "b/10", "ä", "b/1"]
    await engine.store.write([part(f"w{name}", name, chunks=1) for name in names])
    await engine.store.write([part("pending", "b/0", chunks=2, count=1)])

    async def listed(prefix: str, after: str, limit: int) -> list[str]:
        found = await engine.ledger.documents("acme", prefix, after, limit)
        assert all(row == DocumentSummary(row.document_id, 1, None) for row in found)
        return [row.document_id for row in found]

    assert await listed("", "", 10) == sorted(names)
    assert await listed("b/", "", 2) == ["b/1", "b/10"]
    assert await listed("b/", "b/10", 2) == ["b/2"]


async def test_all_tenants_documents_come_by_tenant_and_id(engine: Engine) -> None:
    await engine.store.write(
        [
            part("w1", "e", tenant="bolt", chunks=1, expires=99.0),
            part("w2", "d", chunks=1),
            part("w3", "d", tenant="bolt", chunks=2, digest="y"),
        ]
    )
    rows = [
        Stocked("acme", "d", "w2", "x", 1, None),
        Stocked("bolt", "d", "w3", "y", 2, None),
        Stocked("bolt", "e", "w1", "x", 1, 99.0),
    ]

    assert await engine.ledger.inventory(("", ""), 10) == rows
    assert await engine.ledger.inventory(("", ""), 2) == rows[:2]
    assert await engine.ledger.inventory(("bolt", "d"), 2) == rows[2:]


async def test_a_sweep_removes_what_is_out_of_date(engine: Engine) -> None:
    await engine.store.write(
        [part("w1", "over", expires=100.0), part("w2", "kept", expires=200.0), part("w3", "for ever")]
    )
    await engine.store.write([part("w4", "longer", expires=100.0)])
    await engine.store.touch("acme", {"longer": 300.0})

    assert await engine.store.sweep(150.0) == 1
    assert sorted(await visible(engine)) == ["for ever", "kept", "longer"]
    assert await engine.ledger.stored("acme", ["over"]) == {}
    assert (await engine.ledger.stored("acme", ["longer"]))["longer"].expires == 300.0


async def test_a_document_can_be_kept_for_ever_after_all(engine: Engine) -> None:
    await engine.store.write([part("w1", expires=100.0)])
    await engine.store.touch("acme", {"d": None})

    assert await engine.store.sweep(1e9) == 0
    assert (await engine.ledger.stored("acme", ["d"]))["d"].expires is None


async def test_several_documents_get_times_of_their_own_at_once(engine: Engine) -> None:
    await engine.store.write([part("w1", "a", expires=1.0), part("w2", "b"), part("w3", "c", expires=3.0)])
    await engine.store.touch("acme", {"a": 500.0, "b": 500.0, "c": None, "not there": 7.0})

    stored = await engine.ledger.stored("acme", ["a", "b", "c", "not there"])
    assert {name: known.expires for name, known in stored.items()} == {"a": 500.0, "b": 500.0, "c": None}
    assert await engine.store.sweep(600.0) == 2
    assert list(await visible(engine)) == ["c"]


async def test_what_is_read_back_can_be_written_elsewhere(engine: Engine) -> None:
    await engine.store.write([part("w1")])
    [row] = await engine.ledger.inventory(("", ""), 1)
    read = await engine.store.read(row, 1, 5)

    assert read is not None
    assert (read.start, read.total, [piece.chunk.text for piece in read.pieces]) == (1, 3, ["w1 1", "w1 2"])
    assert read.pieces[0].coded.tokens[TokenMatch.ANY].tolist() == [[1] * 128]


async def test_documents_written_at_the_same_time_do_not_disturb_each_other(engine: Engine) -> None:
    writes = [part(f"w{number}", f"d{number}", tenant=f"t{number % 5}") for number in range(20)]
    await asyncio.gather(*(engine.store.write([write]) for write in writes))

    for tenant in range(5):
        assert await engine.ledger.usage(f"t{tenant}") == Usage(4, 12)
