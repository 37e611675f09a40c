"""Filters read out of questions: the labelled ones, and what speaks against reading one."""

from datetime import UTC, date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice_api.filtering import DatetimeRange, Filter, Leaf, Match, Range
from sluice_api.objects.knowledge_base import FieldType, MetadataField
from sluice_retriever.domain.filters import validate
from sluice_retriever.domain.self_query import SelfQuery, extract
from support.self_queries import TODAY, Asked, labelled

ASKED = labelled()

FIELDS = (
    MetadataField(name="published_at", type=FieldType.DATETIME, aliases=("erschienen",)),
    MetadataField(name="shop.price", type=FieldType.FLOAT, aliases=("Preis",)),
    MetadataField(name="brand", type=FieldType.KEYWORD, aliases=("Marke",)),
    MetadataField(name="open_source", type=FieldType.BOOL, aliases=("open source", "quelloffen")),
    MetadataField(name="year", type=FieldType.INTEGER),
    MetadataField(name="version", type=FieldType.INTEGER),
)
VALUES = {"brand": ["Bosch", "Black & Decker", "Äther Zwei"]}


def read(question: str) -> SelfQuery:
    return extract(question, FIELDS, VALUES, TODAY)


def conditions(question: str) -> tuple[object, ...]:
    found = read(question).filter
    return found.must if found else ()


@pytest.mark.parametrize("asked", [each for each in ASKED if not each.held_out], ids=lambda each: each.text)
def test_nothing_is_read_that_is_not_asked_for(asked: Asked) -> None:
    assert asked.read() <= asked.expected


@pytest.mark.parametrize("held_out", [False, True])
def test_most_is_read_and_hardly_anything_wrongly(held_out: bool) -> None:
    asked = [each for each in ASKED if each.held_out is held_out]
    found = sum(len(each.read()) for each in asked)
    wanted = sum(len(each.expected) for each in asked)
    right = sum(len(each.read() & each.expected) for each in asked)
    assert right / found >= 0.95
    assert right / wanted >= 0.9


def test_the_words_it_was_read_from_are_named() -> None:
    assert read("Reports published since 2023 of brand Bosch, open source only, in version 3").phrases == (
        "published since 2023",
        "brand Bosch",
        "open source",
        "3",
    )


def test_what_the_caller_filters_on_is_left_alone() -> None:
    question = "Reports published since 2023 of brand Bosch"
    found = extract(question, FIELDS, VALUES, TODAY, taken={"brand"})
    assert found.filter == Filter(must=(DatetimeRange("published_at", gte=datetime(2023, 1, 1, tzinfo=UTC)),))


@pytest.mark.parametrize(
    ("question", "since", "until"),
    [
        ("published in 2022", date(2022, 1, 1), date(2023, 1, 1)),
        ("published in December 2022", date(2022, 12, 1), date(2023, 1, 1)),
        ("published on 31 December 2022", date(2022, 12, 31), date(2023, 1, 1)),
        ("published before 2023-05", None, date(2023, 5, 1)),
        ("erschienen am 29. Februar 2024", date(2024, 2, 29), date(2024, 3, 1)),
        ("erschienen bis 2022", None, date(2023, 1, 1)),
        ("erschienen ab März 2022", date(2022, 3, 1), None),
        ("published from 2022 onwards", date(2022, 1, 1), None),
        ("erschienen letztes Jahr", date(2025, 1, 1), date(2026, 1, 1)),
        ("published after 2019 and published before 2022", date(2020, 1, 1), date(2022, 1, 1)),
    ],
)
def test_dates_are_whole_days_months_and_years(question: str, since: date | None, until: date | None) -> None:
    found = [each for each in conditions(question) if isinstance(each, DatetimeRange)]
    bounds = [each.gte for each in found if each.gte], [each.lt for each in found if each.lt]
    assert [[each.date() for each in some] for some in bounds] == [
        [since] if since else [],
        [until] if until else [],
    ]


@pytest.mark.parametrize(
    ("question", "condition"),
    [
        ("price under 1,250.50", Range("shop.price", lt=1250.5)),
        ("Preis unter 1.250,50", Range("shop.price", lt=1250.5)),
        ("Preis höchstens 1.250", Range("shop.price", lte=1250)),
        ("price between 5 and 10", Range("shop.price", gte=5, lte=10)),
        ("Teile unter 5 €", Range("shop.price", lt=5)),
        ("the Black & Decker brand", Match("brand", ("Black & Decker",))),
        ("the year 2021", Match("year", (2021,))),
        ("year since 2021", Range("year", gte=2021)),
    ],
)
def test_numbers_and_names_are_read_as_they_are_written(question: str, condition: Leaf) -> None:
    assert conditions(question) == (condition,)


@pytest.mark.parametrize(
    "question",
    [
        "",
        "published",
        "published on 31 February 2024",
        "published between 2022 and 2020",
        "published since 20231",
        "price under 50 million",
        "price under 50 %",
        "price under 1.2.3",
        "not published since 2023",
        "published since 2023 or of brand Bosch",
        "published in 2021 and published in 2022",
        "Was it published in 2022?",
        "x " * 500 + "published since 2023",
        "version 3 and version 4",
        "brand new Bosch",
        "the open source movement",
    ],
)
def test_what_is_unsure_is_left_alone(question: str) -> None:
    assert read(question) == SelfQuery()


PIECES = st.sampled_from(
    "published since before 2023 between and 2021 price under 50 € 1.000 brand Bosch Black & Decker only open source"
    " not or Preis über von bis year version 3 , - . ? März 15.03.2024 ſ İ".split(" ")
)


@given(st.lists(PIECES | st.text(max_size=3), max_size=14).map(" ".join))
def test_whatever_is_read_is_a_filter_on_the_declared_fields(question: str) -> None:
    found = read(question)
    if found.filter is not None:
        validate(found.filter, FIELDS)
        assert len(found.phrases) == len(found.filter.must)
        assert all(phrase and phrase in question for phrase in found.phrases)
