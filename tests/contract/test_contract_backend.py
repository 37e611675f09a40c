"""What a vector store has to do, on every engine."""

import asyncio
import math
import uuid
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from qdrant_client import models

from sluice_api.filtering import Condition, Filter, Match, Range
from sluice_api.objects.knowledge_base import Quantization
from sluice_retriever.domain.model import Reader
from sluice_retriever.store import coding, exact_tokens, filters
from sluice_retriever.store.backend import Hit
from sluice_retriever.store.schema import Payload, Vector
from support.engines import DIMENSION, ENGINES, Engine, manifest, opened

Units = Callable[..., np.ndarray]


def identity(number: int) -> str:
    """A point's id; ids sort as numbers do."""
    return str(uuid.UUID(int=number))


def point(
    number: int,
    *,
    tenant: str = "acme",
    dense: np.ndarray | None = None,
    tokens: np.ndarray | None = None,
    exact_tokens: np.ndarray | None = None,
    words: dict[int, float] | None = None,
    **payload: object,
) -> models.PointStruct:
    vector: dict[str, object] = {}
    if dense is not None:
        vector[Vector.DENSE] = dense.tolist()
    if tokens is not None:
        vector[Vector.TOKENS] = tokens.astype(float).tolist()
    if exact_tokens is not None:
        vector[Vector.EXACT_TOKENS] = exact_tokens.astype(float).tolist()
    if words is not None:
        vector[Vector.SPARSE] = models.SparseVector(indices=list(words), values=list(words.values()))
    return models.PointStruct(
        id=identity(number), vector=vector, payload={Payload.TENANT.value: tenant, **payload}
    )


def of(tenant: str = "acme", filter_: Filter | None = None, acl: tuple[str, ...] = ()) -> models.Filter:
    """What a reader may see, as every search asks it."""
    return filters.readable(Reader(tenant, acl), [], filter_, 0.0)


def numbers(found: list[Hit] | list[models.Record]) -> list[int]:
    return [uuid.UUID(str(each.id)).int for each in found]


async def ask(
    engine: Engine, query: object, using: Vector, tenant: str = "acme", **more: object
) -> list[int]:
    more.setdefault("filter", of(tenant))
    request = models.QueryRequest(query=query, using=using, **{"limit": 10, **more})
    [found] = await engine.backend.query(tenant, [request])
    return numbers(found)


async def test_points_come_back_as_they_were_written(engine: Engine, unit: Units) -> None:
    dense, tokens = unit(DIMENSION), np.arange(256, dtype=np.uint8).reshape(2, 128)
    metadata = {"nested": {"list": [1, "two", None, 2.5]}, "ümlaut": True}
    written = point(1, dense=dense, tokens=tokens, words={3: 0.5, 70_000: 2.0}, metadata=metadata)
    await engine.backend.upsert("acme", [written])
    [found] = await engine.backend.retrieve("acme", [identity(1), identity(2)], vectors=True)

    assert found.payload == {"tenant": "acme", "metadata": metadata}
    assert np.allclose(found.vector[Vector.DENSE], dense, atol=1e-6)
    assert found.vector[Vector.TOKENS] == tokens.tolist()
    assert found.vector[Vector.SPARSE] == models.SparseVector(indices=[3, 70_000], values=[0.5, 2.0])
    [partly] = await engine.backend.retrieve("acme", [identity(1)], payload=["tenant"])
    assert (partly.payload, partly.vector) == ({"tenant": "acme"}, None)


async def test_a_later_write_replaces_a_point(engine: Engine, unit: Units) -> None:
    await engine.backend.upsert("acme", [point(1, dense=unit(DIMENSION), colour="red")])
    await engine.backend.upsert("acme", [point(1, dense=unit(DIMENSION), size=3)])

    [found] = await engine.backend.retrieve("acme", [identity(1)])
    assert found.payload == {"tenant": "acme", "size": 3}


@pytest.mark.parametrize("quantization", Quantization)
@pytest.mark.parametrize("name", ENGINES)
async def test_the_nearest_is_found_whatever_the_codes(
    name: str, quantization: Quantization, tmp_path: Path, unit: Units
) -> None:
    rows = unit(200, DIMENSION)
    async with opened(name, tmp_path, manifest(quantization)) as engine:
        await engine.backend.upsert("acme", [point(row, dense=rows[row]) for row in range(200)])
        codes = models.QuantizationSearchParams(rescore=True, oversampling=4.0)
        request = models.QueryRequest(
            query=rows[7].tolist(),
            using=Vector.DENSE,
            filter=of(),
            params=models.SearchParams(quantization=codes, acorn=models.AcornSearchParams(enable=True)),
            limit=5,
        )
        [found] = await engine.backend.query("acme", [request])

    assert numbers(found)[0] == 7
    assert found[0].score == pytest.approx(1.0, abs=0.02 if quantization is Quantization.SCALAR else 1e-4)


async def test_several_queries_are_answered_in_their_order(engine: Engine, unit: Units) -> None:
    rows = unit(20, DIMENSION)
    await engine.backend.upsert("acme", [point(row, dense=rows[row]) for row in range(20)])
    requests = [
        models.QueryRequest(query=rows[row].tolist(), using=Vector.DENSE, filter=of(), limit=1)
        for row in (3, 11)
    ]

    assert [numbers(found) for found in await engine.backend.query("acme", requests)] == [[3], [11]]


async def test_token_vectors_order_by_the_sum_of_best_cosines(engine: Engine, unit: Units) -> None:
    documents = [unit(int(length), 128) for length in np.random.default_rng(3).integers(2, 30, 30)]
    question = unit(6, 128)
    written = [point(row, tokens=coding.encode_tokens(tokens)) for row, tokens in enumerate(documents)]
    await engine.backend.upsert("acme", written)
    [found] = await engine.backend.query(
        "acme",
        [
            models.QueryRequest(
                query=coding.encode_tokens(question).astype(float).tolist(),
                using=Vector.TOKENS,
                filter=of(),
                params=models.SearchParams(exact=True),
                limit=30,
            )
        ],
    )

    # Of the stored bytes: coding itself costs up to a hundredth.
    coded = [coding.encode_tokens(tokens).astype(float) for tokens in documents]
    asked = coding.encode_tokens(question).astype(float)
    distances = [
        math.sqrt(((asked[:, None] - tokens[None]) ** 2).sum(axis=2).min(axis=1).sum()) for tokens in coded
    ]
    assert numbers(found) == np.argsort(distances).tolist()
    cosines = [(question @ tokens.T).max(axis=1).mean() for tokens in documents]
    for each in found:
        real = cosines[numbers([each])[0]]
        assert coding.mean_cosine(each.score, len(question)) == pytest.approx(real, abs=0.02)


async def test_exact_tokens_order_by_the_cosines_of_like_tokens(engine: Engine, unit: Units) -> None:
    question_ids, question = np.array([5, 5, 9, 700], np.uint32), unit(4, 128)
    random = np.random.default_rng(4)
    documents = [(random.choice([5, 9, 700, 31, 32], 12).astype(np.uint32), unit(12, 128)) for _ in range(30)]
    coded = [exact_tokens.encode_chunk(*document) for document in documents]
    await engine.backend.upsert("acme", [point(row, exact_tokens=rows) for row, rows in enumerate(coded)])
    asked = exact_tokens.encode_question(question_ids, question).astype(float)
    request = models.QueryRequest(
        query=asked.tolist(),
        using=Vector.EXACT_TOKENS,
        filter=of(),
        params=models.SearchParams(exact=True),
        limit=30,
    )

    [found] = await engine.backend.query("acme", [request])

    squares = [
        ((asked[:, None] - rows[None].astype(float)) ** 2).sum(axis=2).min(axis=1).sum() for rows in coded
    ]
    assert [squares[number] for number in numbers(found)] == sorted(squares)  # equal ones stand in any order
    assert [each.score for each in found] == pytest.approx(np.sqrt(sorted(squares)))


async def test_token_vectors_that_are_not_coded_are_cut_to_nothing(engine: Engine, unit: Units) -> None:
    """The trap that the coding is for: components below 1 become 0, and all documents are alike."""
    plain = [np.abs(unit(3, 128)) for _ in range(5)]
    await engine.backend.upsert("acme", [point(row, tokens=tokens) for row, tokens in enumerate(plain)])
    request = models.QueryRequest(
        query=plain[2].tolist(), using=Vector.TOKENS, filter=of(), params=models.SearchParams(exact=True)
    )
    [found] = await engine.backend.query("acme", [request])
    [kept] = await engine.backend.retrieve("acme", [identity(2)], vectors=[Vector.TOKENS])

    assert len({round(each.score, 4) for each in found}) == 1
    assert not np.any(kept.vector[Vector.TOKENS])


async def test_a_rarer_word_weighs_more(engine: Engine) -> None:
    common, rare = 1, 2
    await engine.backend.upsert("acme", [point(row, words={common: 1.0}) for row in range(9)])
    await engine.backend.upsert("acme", [point(9, words={rare: 1.0})])
    question = models.SparseVector(indices=[common, rare], values=[1.0, 1.0])

    assert (await ask(engine, question, Vector.SPARSE))[0] == 9


async def test_how_rare_a_word_is_is_counted_within_the_tenant(engine: Engine) -> None:
    # In acme, word 1 is rare; over both tenants it is the common one.
    await engine.backend.upsert("acme", [point(row, words={2: 1.0}) for row in range(5)])
    await engine.backend.upsert("acme", [point(5, words={1: 1.0})])
    await engine.backend.upsert("bolt", [point(10 + row, tenant="bolt", words={1: 1.0}) for row in range(50)])
    question = models.SparseVector(indices=[1, 2], values=[1.0, 1.0])
    within = models.SearchParams(idf=models.IdfCorpusParams(corpus=filters.of_tenant("acme")))

    assert (await ask(engine, question, Vector.SPARSE, params=within))[0] == 5
    assert (await ask(engine, question, Vector.SPARSE))[0] != 5


async def test_a_scroll_gives_every_point_once_by_id(engine: Engine) -> None:
    await engine.backend.upsert("acme", [point(row) for row in (5, 1, 4, 2, 3)])
    await engine.backend.upsert("bolt", [point(0, tenant="bolt")])
    first, following = await engine.backend.scroll("acme", of(), 2)
    second, last = await engine.backend.scroll("acme", of(), 2, following)
    third, end = await engine.backend.scroll("acme", of(), 2, last, payload=False)

    assert [numbers(page) for page in (first, second, third)] == [[1, 2], [3, 4], [5]]
    assert end is None


async def test_counts_and_facets_see_what_the_filter_lets_pass(engine: Engine) -> None:
    written = [point(row, document=f"d{row % 3}") for row in range(7)]
    await engine.backend.upsert("acme", [*written, point(7, tenant="bolt", document="d9")])

    assert await engine.backend.count("acme", of(), exact=True) == 7
    assert await engine.backend.facet("acme", Payload.DOCUMENT, of(), 2) == [("d0", 3), ("d1", 2)]


async def test_a_field_is_set_on_the_points_that_the_filter_lets_pass(engine: Engine) -> None:
    await engine.backend.upsert("acme", [point(1, document="d"), point(2, document="e")])
    await engine.backend.set_payload("acme", {Payload.EXPIRES: 5.0}, filters.of_documents("acme", ["d"]))
    found = await engine.backend.retrieve("acme", [identity(1), identity(2)])

    assert {numbers([each])[0]: each.payload.get("expires") for each in found} == {1: 5.0, 2: None}


async def test_points_are_deleted_by_filter_and_never_by_none(engine: Engine) -> None:
    await engine.backend.upsert("acme", [point(1, document="d"), point(2, document="e")])
    await engine.backend.delete("acme", filters.of_documents("acme", ["d"]))
    with pytest.raises(ValueError, match="empty filter"):
        await engine.backend.delete("acme", models.Filter())

    assert numbers((await engine.backend.scroll("acme", of(), 10))[0]) == [2]


LIBRARY = (
    point(
        1, metadata={"year": 1999, "tags": ["a", "b"], "open": True}, true_fields=["open"], false_fields=[]
    ),
    point(2, metadata={"year": 2005, "tags": ["b"], "a b": {"c": "x"}}, true_fields=[], false_fields=[]),
    point(3, metadata={"year": 2010.5, "open": False}, acl=["board"], true_fields=[], false_fields=["open"]),
    point(4, tenant="bolt", metadata={"year": 2005}),
)


@pytest.mark.parametrize(
    ("condition", "passes"),
    [
        (Match("tags", ("a",)), {1}),
        (Match("tags", ("a", "b")), {1, 2}),
        (Match("a b.c", ("x",)), {2}),
        (Match("year", (2005,)), {2}),
        (Match("open", (True,)), {1}),
        (Match("open", (False,)), {3}),
        (Match("open", (True, False)), {1, 3}),
        (Range("year", gte=2005), {2, 3}),
        (Range("year", gt=2005, lt=2011), {3}),
        (Filter(should=(Match("tags", ("a",)), Range("year", gt=2010))), {1, 3}),
        (Filter(must_not=(Match("tags", ("b",)),)), {3}),
        (
            Filter(
                must=(Filter(should=(Match("tags", ("b",)), Match("year", (1,)))),),
                must_not=(Match("tags", ("a",)),),
            ),
            {2},
        ),
        (Match("nowhere", ("x",)), set()),
    ],
)
async def test_filters_hold_for_the_same_points(
    engine: Engine, condition: Condition, passes: set[int]
) -> None:
    await engine.backend.upsert("acme", LIBRARY)
    wanted = condition if isinstance(condition, Filter) else Filter(must=(condition,))
    found, _ = await engine.backend.scroll("acme", of(filter_=wanted, acl=("board",)), 10)

    assert set(numbers(found)) == passes


async def test_points_with_an_acl_are_shown_to_those_it_names(engine: Engine) -> None:
    await engine.backend.upsert("acme", LIBRARY)
    seen = {
        acl: numbers((await engine.backend.scroll("acme", of(acl=acl), 10))[0])
        for acl in ((), ("x", "board"))
    }

    assert seen == {(): [1, 2], ("x", "board"): [1, 2, 3]}


async def test_what_has_expired_is_not_shown(engine: Engine) -> None:
    await engine.backend.upsert("acme", [point(1, expires=10.0), point(2, expires=20.0), point(3)])
    readable = filters.readable(Reader("acme"), [], None, 10.0)

    assert numbers((await engine.backend.scroll("acme", readable, 10))[0]) == [2, 3]


async def test_the_filter_at_the_root_holds_for_every_prefetch(engine: Engine, unit: Units) -> None:
    rows = unit(40, DIMENSION)
    await engine.backend.upsert("acme", [point(row, dense=rows[row], words={1: 1.0}) for row in range(20)])
    others = [point(row, tenant="bolt", dense=rows[row], words={1: 1.0}) for row in range(20, 40)]
    await engine.backend.upsert("bolt", others)
    dense = models.Prefetch(query=rows[30].tolist(), using=Vector.DENSE, limit=5)
    words = models.Prefetch(
        query=models.SparseVector(indices=[1], values=[1.0]), using=Vector.SPARSE, limit=5
    )
    rrf = models.RrfQuery(rrf=models.Rrf(k=2))
    nested = models.Prefetch(prefetch=[dense, words], query=rrf, limit=10)
    request = models.QueryRequest(prefetch=[nested], query=rrf, filter=of(), limit=40)
    [found] = await engine.backend.query("acme", [request])

    assert found
    assert all(number < 20 for number in numbers(found))


async def test_fifty_tenants_at_once_see_their_own_points_only(engine: Engine, unit: Units) -> None:
    rows = unit(50, DIMENSION)

    async def live(number: int) -> None:
        tenant = f"tenant-{number}"
        await engine.backend.upsert(
            tenant,
            [
                point(number * 10 + each, tenant=tenant, dense=rows[number], document=f"d{each}")
                for each in range(4)
            ],
        )
        found = await ask(engine, rows[(number + 1) % 50].tolist(), Vector.DENSE, tenant, filter=of(tenant))
        assert sorted(found) == [number * 10 + each for each in range(4)]
        await engine.backend.delete(tenant, filters.of_documents(tenant, ["d0"]))
        assert await engine.backend.count(tenant, of(tenant), exact=True) == 3

    await asyncio.gather(*(live(number) for number in range(50)))
