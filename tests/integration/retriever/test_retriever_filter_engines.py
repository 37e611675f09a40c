"""One filter, read three ways: by the embedded engine, by qdrant_client's own, and by a plain oracle."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import qdrant_edge as edge
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from qdrant_client import QdrantClient, models

from sluice_api.filtering import (
    Condition,
    DatetimeRange,
    Empty,
    Filter,
    GeoBox,
    GeoRadius,
    Leaf,
    Match,
    Point,
    Range,
    Words,
)
from sluice_api.objects.knowledge_base import FieldType, MetadataField
from sluice_gateway.domain.filters import read
from sluice_gateway.filter_conversion import filter_message
from sluice_retriever import filter_conversion
from sluice_retriever.domain import fields
from sluice_retriever.domain.filter_words import written
from sluice_retriever.domain.filters import validate
from sluice_retriever.domain.metadata import boolean_fields
from sluice_retriever.domain.model import Reader
from sluice_retriever.store import conditions as asked
from sluice_retriever.store import filters
from sluice_retriever.store.edge.filters import edge_filter
from sluice_retriever.store.schema import Payload
from sluice_servicekit.errors import InvalidArgument
from support.filter_oracle import passes

NOW = 1_700_000_000.0

#: One field for each type; one name has a blank and letters beyond ASCII, one lies in an object.
DECLARED = tuple(
    MetadataField(name=name, type=type_)
    for name, type_ in (
        ("sprache", FieldType.KEYWORD),
        ("shop.größe in cm", FieldType.INTEGER),
        ("price", FieldType.FLOAT),
        ("shop.open", FieldType.BOOL),
        ("published", FieldType.DATETIME),
        ("place", FieldType.GEO),
        ("summary", FieldType.TEXT),
    )
)
BY_NAME = {field.name: field.type for field in DECLARED}

VALUES: dict[FieldType, st.SearchStrategy[Any]] = {
    FieldType.KEYWORD: st.sampled_from(["de", "en", "", "DE", "1", "true"]),
    FieldType.INTEGER: st.sampled_from([-(2**63), -1, 0, 1, 2, 2024, 2**53 + 1, 2**63 - 1]),
    FieldType.FLOAT: st.sampled_from([-1.5, 0, 0.0, 1, 1.5, 2, 1e300]),
    FieldType.BOOL: st.booleans(),
    FieldType.DATETIME: st.sampled_from(
        [
            "2024-03-01",
            "2024-03-01T00:00:00Z",
            "2024-03-01T23:59:59.5+02:00",
            "2023-12-31T10:00:00",
            "1969-07-20",
        ]
    ),
    FieldType.GEO: st.sampled_from(
        [
            {"lat": 52.5, "lon": 13.4},
            {"lat": 0, "lon": 179.9},
            {"lat": 0.0, "lon": -179.9},
            {"lat": -33.9, "lon": 18.4},
        ]
    ),
    FieldType.TEXT: st.sampled_from(
        ["Open source, große Wörter", "the source_code is open", "?!", "", "OPEN"]
    ),
}

MOMENTS = st.sampled_from(
    [datetime(2024, 3, 1, tzinfo=UTC), datetime(2024, 3, 1, 22, tzinfo=UTC), datetime(1970, 1, 1, tzinfo=UTC)]
)
POINTS = st.sampled_from([Point(52.51, 13.41), Point(0.0, 180.0), Point(-33.0, 18.0)])
BOXES = st.sampled_from(
    [
        (Point(53, 13), Point(52, 14)),
        (Point(1, 179), Point(-1, -179)),
        (Point(90, -180), Point(-90, 180)),
        (Point(80, 14), Point(-80, 12)),
        (Point(80, -179.95), Point(-80, 179.95)),
        (Point(80, 13.4), Point(-80, 13.4)),
    ]
)


def bounds(values: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.dictionaries(st.sampled_from(["gt", "gte", "lt", "lte"]), values, min_size=1, max_size=2)


def conditions(field: str, type_: FieldType) -> st.SearchStrategy[Leaf]:
    """Everything that can be asked of a field of this type."""
    empty = st.just(Empty(field))
    numbers = bounds(st.sampled_from([-1.5, 0.0, 1.0, 1.5, 2023.5])).map(lambda by: Range(field, **by))
    matches = st.lists(VALUES[type_], min_size=1, max_size=3).map(lambda values: Match(field, tuple(values)))
    match type_:
        case FieldType.KEYWORD | FieldType.BOOL:
            return empty | matches
        case FieldType.INTEGER:
            return empty | matches | numbers
        case FieldType.FLOAT:
            return empty | numbers
        case FieldType.DATETIME:
            return empty | bounds(MOMENTS).map(lambda by: DatetimeRange(field, **by))
        case FieldType.GEO:
            circles = st.builds(GeoRadius, st.just(field), POINTS, st.sampled_from([1000.0, 50_000.0, 2e7]))
            return empty | circles | BOXES.map(lambda box: GeoBox(field, *box))
        case FieldType.TEXT:
            words = ["open", "SOURCE open", "wörter", "sour", "source_code", "open sea"]
            return empty | st.sampled_from(words).map(lambda text: Words(field, text))


def nested(leaves: st.SearchStrategy[Leaf]) -> st.SearchStrategy[Filter]:
    def filters_of(inner: st.SearchStrategy[Condition]) -> st.SearchStrategy[Filter]:
        parts = st.lists(inner, max_size=2).map(tuple)
        return st.builds(Filter, parts, parts, parts)

    return filters_of(st.recursive(leaves, filters_of, max_leaves=6))


def or_list(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return values | st.lists(values, max_size=3) | st.none()


def metadata_of(values: dict[str, st.SearchStrategy[Any]]) -> st.SearchStrategy[dict[str, Any]]:
    """Metadata whose fields have these values or none."""

    def unflattened(flat: dict[str, Any]) -> dict[str, Any]:
        metadata: dict[str, Any] = {}
        for name, value in flat.items():
            *objects, last = name.split(".")
            inside = metadata
            for part in objects:
                inside = inside.setdefault(part, {})
            inside[last] = value
        return metadata

    return st.fixed_dictionaries({}, optional=values).map(unflattened)


#: As declared, and as anybody may store them where nothing is declared.
TYPED = metadata_of({name: or_list(VALUES[type_]) for name, type_ in BY_NAME.items()})
ANYTHING = or_list(st.one_of(*VALUES.values()) | st.just({}))
UNTYPED = metadata_of(dict.fromkeys(BY_NAME, ANYTHING))
FILTERS = nested(st.one_of(*(conditions(name, type_) for name, type_ in BY_NAME.items())))
ANY_FILTERS = nested(st.one_of(*(conditions(name, type_) for name in BY_NAME for type_ in FieldType)))


@dataclass(frozen=True)
class Engines:
    """The same points in both."""

    shard: edge.EdgeShard
    local: QdrantClient

    def hold(self, payloads: Sequence[dict[str, Any]]) -> None:
        """Replaces what they hold."""
        self.shard.update(edge.UpdateOperation.delete_points_by_filter(edge.Filter()))
        self.shard.update(
            edge.UpdateOperation.upsert_points(
                [
                    edge.Point(id=index, vector={"v": [1.0, 0.0]}, payload=one)
                    for index, one in enumerate(payloads)
                ]
            )
        )
        self.local.delete("points", models.FilterSelector(filter=models.Filter()))
        points = [
            models.PointStruct(id=index, vector={"v": [1.0, 0.0]}, payload=one)
            for index, one in enumerate(payloads)
        ]
        self.local.upsert("points", points)

    def passed(self, filter_: models.Filter) -> tuple[set[int], set[int]]:
        """What each lets pass."""
        embedded, _ = self.shard.scroll(edge.ScrollRequest(limit=1000, filter=edge_filter(filter_)))
        records, _ = self.local.scroll("points", filter_, limit=1000)
        return {int(record.id) for record in embedded}, {int(record.id) for record in records}


def opened(folder: Path, declared: Sequence[MetadataField]) -> Engines:
    config = edge.EdgeConfig(vectors={"v": edge.EdgeVectorParams(2, edge.Distance.Cosine)})
    shard = edge.EdgeShard.create(str(folder), config)
    for key, kind in asked.field_indexes(declared).items():
        schema = getattr(edge.PayloadSchemaType, kind.value.capitalize())
        shard.update(edge.UpdateOperation.create_field_index(key, schema))
    local = QdrantClient(":memory:")
    vectors = {"v": models.VectorParams(size=2, distance=models.Distance.COSINE)}
    local.create_collection("points", vectors_config=vectors)
    return Engines(shard, local)


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engines]:
    """Without indexes."""
    engines = opened(tmp_path_factory.mktemp("plain"), ())
    yield engines
    engines.shard.close()


@pytest.fixture(scope="module")
def indexed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engines]:
    """With an index on every declared field."""
    engines = opened(tmp_path_factory.mktemp("indexed"), DECLARED)
    yield engines
    engines.shard.close()


def payload(metadata: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        Payload.TENANT: "ours",
        Payload.METADATA: metadata,
        Payload.TRUE_FIELDS: boolean_fields(metadata, True),
        Payload.FALSE_FIELDS: boolean_fields(metadata, False),
        **more,
    }


def both_agree(engines: Engines, documents: list[dict[str, Any]], filter_: Filter) -> None:
    engines.hold([payload(metadata) for metadata in documents])
    embedded, local = engines.passed(filters.readable(Reader("ours"), [], filter_, NOW))
    expected = {index for index, metadata in enumerate(documents) if passes(filter_, metadata)}
    assert embedded == expected
    assert local == expected


AGREEMENT = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@AGREEMENT
@given(documents=st.lists(TYPED, min_size=1, max_size=8), filter_=FILTERS)
def test_declared_fields_are_filtered_as_the_language_says(
    indexed: Engines, documents: list[dict[str, Any]], filter_: Filter
) -> None:
    assert [fields.refusal(metadata, DECLARED) for metadata in documents] == [""] * len(documents)
    validate(filter_, DECLARED)
    both_agree(indexed, documents, filter_)


@AGREEMENT
@given(documents=st.lists(UNTYPED, min_size=1, max_size=8), filter_=ANY_FILTERS)
def test_undeclared_fields_of_any_type_are_filtered_as_the_language_says(
    plain: Engines, documents: list[dict[str, Any]], filter_: Filter
) -> None:
    both_agree(plain, documents, filter_)


@given(filter_=FILTERS)
def test_a_filter_that_is_written_out_reads_as_itself(filter_: Filter) -> None:
    content = json.loads(json.dumps(written(filter_)))
    try:
        message = filter_message(read(content))
    except InvalidArgument as error:
        assume("nested deeper" not in error.message)
        raise
    assert filter_conversion.filter_(message) == filter_


@pytest.mark.parametrize(
    ("left", "right", "expected"),
    [
        (-180, 180, {0, 1, 2}),
        (14, 13, {1, 2}),
        (-179.95, 179.95, {0, 1, 2}),
        (100, -100, {1, 2}),
        (13.5, 13.5, set()),
    ],
)
def test_a_box_may_be_as_wide_as_the_world(
    indexed: Engines, left: float, right: float, expected: set[int]
) -> None:
    indexed.hold([payload({"place": {"lat": 0.5, "lon": lon}}) for lon in (13.5, 179.9, -179.9)])
    filter_ = Filter(must=(GeoBox("place", Point(90, left), Point(-90, right)),))

    assert indexed.passed(filters.readable(Reader("ours"), [], filter_, NOW)) == (expected, expected)


FOREIGN = st.sampled_from(
    [
        {Payload.TENANT: "theirs"},
        {Payload.TENANT: "theirs", Payload.ACL: ["staff"]},
        {Payload.TENANT: ["theirs"]},
        {Payload.TENANT: "ours", Payload.ACL: ["board"]},
        {Payload.TENANT: "ours", Payload.WRITE: "pending"},
        {Payload.TENANT: "ours", Payload.EXPIRES: NOW},
        {Payload.TENANT: "ours", Payload.EXPIRES: NOW - 0.25},
    ]
)
OURS = st.sampled_from(
    [{}, {Payload.ACL: ["board", "staff"]}, {Payload.WRITE: "stored"}, {Payload.EXPIRES: NOW + 0.25}]
)
#: Names that mean something in a payload, as a caller might try them.
TRICKS = st.sampled_from(["tenant", "acl", "write", "expires", "metadata.tenant", "true_fields", "sprache"])
TRICKY_FILTERS = nested(
    st.builds(Empty, TRICKS)
    | st.builds(Match, TRICKS, st.sampled_from([("theirs",), ("ours", "theirs"), (True, False), ("board",)]))
    | st.builds(Range, TRICKS, st.just(0.0))
    | st.one_of(*(conditions(name, type_) for name, type_ in BY_NAME.items()))
)


@AGREEMENT
@given(
    ours=st.lists(st.tuples(OURS, TYPED), max_size=4),
    foreign=st.lists(st.tuples(FOREIGN, TYPED), min_size=1, max_size=4),
    filter_=TRICKY_FILTERS,
)
def test_no_filter_reaches_what_its_reader_may_not_see(
    plain: Engines,
    ours: list[tuple[dict[str, Any], dict[str, Any]]],
    foreign: list[tuple[dict[str, Any], dict[str, Any]]],
    filter_: Filter,
) -> None:
    plain.hold([payload(metadata, **more) for more, metadata in [*ours, *foreign]])
    allowed = {index for index, (_, metadata) in enumerate(ours) if passes(filter_, metadata)}

    readable = filters.readable(
        Reader("ours", ("staff",)), [filters.in_writes(["pending", "stale"])], filter_, NOW
    )

    assert plain.passed(readable) == (allowed, allowed)


@pytest.mark.parametrize(
    "filter_",
    [
        None,
        Filter(),
        Filter(must_not=(Filter(must_not=(Filter(),)),)),
        Filter(should=(Match("tenant", ("theirs",)), Filter())),
        Filter(must_not=(Match("tenant", ("ours",)), Empty("nothing at all"))),
    ],
)
def test_what_is_hidden_stays_hidden_whatever_is_negated(plain: Engines, filter_: Filter | None) -> None:
    plain.hold([payload({}, **{Payload.TENANT: "theirs"}), payload({}, **{Payload.WRITE: "pending"})])

    readable = filters.readable(Reader("ours"), [filters.in_writes(["pending"])], filter_, NOW)

    assert plain.passed(readable) == (set(), set())


def test_writes_documents_and_what_has_expired_are_found_by_name(plain: Engines) -> None:
    plain.hold(
        [
            payload({}, document="a", write="1"),
            payload({}, document="a", write="2", expires=NOW),
            payload({}, document="b", write="3", expires=NOW + 1),
            payload({}, document="a", write="4", tenant="theirs"),
        ]
    )

    assert plain.passed(filters.of_tenant("ours")) == ({0, 1, 2},) * 2
    assert plain.passed(filters.of_documents("ours", ["a"])) == ({0, 1},) * 2
    assert plain.passed(models.Filter(must=[filters.in_writes(["2", "4"])])) == ({1, 3},) * 2
    assert plain.passed(models.Filter(must=[filters.in_writes([])])) == (set(),) * 2
    assert plain.passed(models.Filter(must=[filters.expired(NOW)])) == ({1},) * 2


@pytest.mark.parametrize(
    "filter_",
    [
        models.Filter(must=[models.IsNullCondition(is_null=models.PayloadField(key="a"))]),
        models.Filter(must=[models.FieldCondition(key="a", match=models.MatchValue(value=True))]),
        models.Filter(must=[models.FieldCondition(key="a", values_count=models.ValuesCount(gt=1))]),
        models.Filter(must=[models.FieldCondition(key="a")]),
        models.Filter(min_should=models.MinShould(conditions=[], min_count=0)),
    ],
)
def test_what_the_embedded_engine_would_misread_is_refused(filter_: models.Filter) -> None:
    with pytest.raises(NotImplementedError):
        edge_filter(filter_)
