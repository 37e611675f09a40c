"""Sources of an answer: the list is printed once, and links lead to what can be opened."""

import io
import itertools
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from sluice_cli.citing import SourcesHeld, sources_list, target

CITED = [
    {"number": 1, "document_id": "a.md", "title": "A", "metadata": {}},
    {"number": 3, "document_id": "c.md", "title": "c.md", "metadata": {}},
]
PROSE = "First [1].\n\nSources:\nnot yet\n\nThen [3].\n"
LIST = "\n\nSources:\n[1] A (a.md)\n[3] c.md"


def _through(text: str, cuts: list[int], citations: list) -> str:
    held, printed, places = SourcesHeld(), "", [0, *sorted(cuts), len(text)]
    for start, end in itertools.pairwise(places):
        printed += held.feed(text[start:end])
    return printed + held.end(citations)


@given(st.lists(st.integers(0, len(PROSE + LIST))))
def test_list_is_taken_off_however_the_text_is_cut(cuts: list[int]):
    assert _through(PROSE + LIST, cuts, CITED) == PROSE


@given(st.lists(st.integers(0, 60)))
@pytest.mark.parametrize(
    ("text", "citations"),
    [
        ("No marks.\n\nSources:\n[1] A (a.md)", []),
        ("Another list.\n\nSources:\n[1] A (a.md)\n[2] B", CITED),
        ("More follows.\n\nSources:\n[1] A\n[3] C\n\nMore.", CITED),
        ("Ends like one.\n\nSourc", CITED),
        ("Ends in lines.\n\n", CITED),
    ],
)
def test_what_is_not_the_list_is_printed_whole(text: str, citations: list, cuts: list[int]):
    assert _through(text, [min(cut, len(text)) for cut in cuts], citations) == text


def test_text_is_held_only_where_the_list_may_begin():
    held = SourcesHeld()
    assert held.feed("A whole paragraph.\n") == "A whole paragraph."
    assert held.feed("\nSo it goes on.") == "\n\nSo it goes on."


def _cited(document_id: str = "d", **metadata: object) -> dict:
    return {"number": 1, "document_id": document_id, "title": "", "metadata": metadata}


def test_link_is_the_source_uri_then_the_file(tmp_path: Path):
    (tmp_path / "notes").mkdir()
    file = tmp_path / "notes" / "über uns.md"
    file.write_text("x")
    assert target(_cited(source_uri="https://example.org/a?b=c#d"), tmp_path) == "https://example.org/a?b=c#d"
    assert target(_cited("notes/über uns.md", source_uri="file:///x.md"), tmp_path) == "file:///x.md"
    assert target(_cited(source_uri="https://a", url="https://b"), tmp_path) == "https://a"
    assert target(_cited("notes/über uns.md", source_uri="s3://a", url="https://b"), tmp_path) == "https://b"
    assert target(_cited("notes/über uns.md"), tmp_path) == file.as_uri()
    assert target(_cited(str(file)), tmp_path / "notes") == file.as_uri()


@pytest.mark.parametrize(
    "uri", ["javascript:alert(1)", "s3://bucket/key", "notes.md", "https:", "http://[", 7, None]
)
def test_what_is_no_link_falls_back_to_the_file(tmp_path: Path, uri: object):
    (tmp_path / "d").write_text("x")
    assert target(_cited(source_uri=uri), tmp_path) == (tmp_path / "d").as_uri()


@pytest.mark.parametrize("document_id", ["gone.md", "notes", "a\0b", "x" * 5000, "\udcff"])
def test_what_cannot_be_opened_has_no_link(tmp_path: Path, document_id: str):
    (tmp_path / "notes").mkdir()
    assert target(_cited(document_id), tmp_path) is None
    assert target({"number": 1, "document_id": "x", "title": ""}, tmp_path) is None


def test_source_uri_cannot_leave_the_terminals_link_sequence(tmp_path: Path):
    uri = target(_cited(source_uri="https://example.org/\x1b\\\x1b]0;owned\x07\x9c ü\ud800"), tmp_path)
    assert uri is not None
    assert uri.isascii()
    assert uri.isprintable()
    assert " " not in uri


def _rendered(*, terminal: bool) -> str:
    console = Console(
        file=io.StringIO(), force_terminal=terminal, width=80, color_system="auto" if terminal else None
    )
    citations = [{**CITED[0], "metadata": {"source_uri": "https://example.org/a"}}, CITED[1]]
    console.print(sources_list(citations, Path("/nowhere")))
    return console.file.getvalue()


def test_list_says_the_same_on_a_terminal_and_in_a_pipe():
    assert _rendered(terminal=False) == "Sources:\n[1] A (a.md)\n[3] c.md\n"
    shown = _rendered(terminal=True)
    assert ";https://example.org/a\x1b\\A (a.md)\x1b]8;;\x1b\\" in shown
    assert shown.count("\x1b]8;;") == 1
