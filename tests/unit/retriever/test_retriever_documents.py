"""Which documents are stored, and what names their content."""

from dataclasses import replace

import pytest

from sluice_retriever.domain import documents
from sluice_retriever.domain.model import Chunk, Document

GOOD = Document(
    "id", "Some text.", "Title", '{"a": [1, 2.5, null, true, {"ü": "x"}]}', "text/plain", ("staff",)
)


def test_a_good_document_is_not_refused() -> None:
    assert documents.refusal(GOOD) == ""


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"id": ""}, "id is empty"),
        ({"id": "x" * 513}, "512"),
        ({"title": "x" * 1025}, "title"),
        ({"text": ""}, "text is empty"),
        ({"text": " \n\t"}, "text is empty"),
        ({"text": "é" * (4 << 20) + "x"}, "8 MiB"),
        ({"media_type": "application/pdf"}, "application/pdf"),
        ({"acl": ("a",) * 257}, "acl"),
        ({"metadata_json": "{"}, "not JSON"),
        ({"metadata_json": "[1]"}, "not a JSON object"),
        ({"metadata_json": "null"}, "not a JSON object"),
        ({"metadata_json": '{"a": NaN}'}, "not finite"),
        ({"metadata_json": '{"a": 1e999}'}, "not finite"),
        ({"metadata_json": '{"a": 9223372036854775808}'}, "64 bits"),
        ({"metadata_json": '{"a": "\\ud800"}'}, "surrogate"),
        ({"metadata_json": '{"\\udfff": 1}'}, "surrogate"),
        ({"metadata_json": '{"a":' * 20 + "1" + "}" * 20}, "deeper"),
        ({"metadata_json": '{"a":' + "[" * 20_000 + "]" * 20_000 + "}"}, "deeper"),
        ({"metadata_json": '{"a": "' + "x" * (64 << 10) + '"}'}, "64 KiB"),
    ],
)
def test_what_cannot_be_stored_is_refused_with_its_reason(change: dict[str, str], words: str) -> None:
    assert words in documents.refusal(replace(GOOD, **change))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "change",
    [
        {"text": "Other text."},
        {"title": "Other"},
        {"metadata_json": "{}"},
        {"media_type": "text/markdown"},
        {"acl": ()},
        {"id": "other"},
    ],
)
def test_every_part_of_a_document_changes_its_digest(change: dict[str, str]) -> None:
    assert documents.digest(replace(GOOD, **change), "c", "m") != documents.digest(GOOD, "c", "m")  # type: ignore[arg-type]


def test_cutting_and_model_are_part_of_the_digest() -> None:
    names = {documents.digest(GOOD, cutting, model) for cutting in "ab" for model in "mn"}

    assert len(names) == 4
    assert documents.with_model(documents.digest(GOOD, "a", "m"), "n") == documents.digest(GOOD, "a", "n")


def test_a_chunk_id_is_stable_and_differs_by_tenant_place_and_text() -> None:
    piece = Chunk("text", (), ())
    base = documents.chunk_id("t", "kb", "d", 0, piece)

    assert base == documents.chunk_id("t", "kb", "d", 0, Chunk("text", ("Other heading",), ()))
    others = {
        documents.chunk_id("u", "kb", "d", 0, piece),
        documents.chunk_id("t", "k", "bd", 0, piece),
        documents.chunk_id("t", "kb", "e", 0, piece),
        documents.chunk_id("t", "kb", "d", 1, piece),
        documents.chunk_id("t", "kb", "d", 0, Chunk("text!", (), ())),
    }
    assert len(others | {base}) == 6
