"""What each parser makes of its kind of file. Whole folders with faults: see the ingestion's processes test."""

import gzip
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice_api.media_types import MediaType, media_type_of
from sluice_retriever.domain.markdown import Block, Kind
from sluice_retriever.domain.model import Document
from sluice_retriever.preparing.parsers import hypertext, pdf, table
from sluice_retriever.preparing.parsers.compressed import gunzip
from sluice_retriever.preparing.parsers.encodings import decode
from sluice_retriever.preparing.parsers.parsed import Unparsable
from sluice_retriever.preparing.parsers.registry import parse
from support import files


def read(content: bytes, name: str = "file", media_type: str = "") -> tuple[str, list[Block]]:
    parsed = parse(Document(name, "", content=content, media_type=media_type))
    return parsed.title, list(parsed.blocks)


def test_a_page_gives_its_main_part_under_its_headings_without_furniture() -> None:
    title, blocks = read(files.html("north"), "page.html")

    assert title == "Valves"
    assert [(block.kind, block.section, block.text) for block in blocks] == [
        (Kind.PROSE, ("Hours",), "The north valve opens at nine."),
        (Kind.TABLE, ("Hours",), "| valve | hour |\n| --- | --- |\n| north | ten |"),
    ]


def test_a_main_part_that_is_hardly_any_of_the_page_is_not_believed() -> None:
    page = "<body><main>Menu</main><p>" + "The valve opens at nine. " * 20 + "</p></body>"

    [menu, text] = hypertext.parse(page).blocks

    assert menu.text == "Menu"
    assert text.text.startswith("The valve opens")


def test_a_page_is_read_in_the_encoding_that_it_names() -> None:
    page = '<html><head><meta charset="iso-8859-2"></head><body><p>Zawór otwiera się</p></body></html>'

    _, [block] = read(page.encode("iso-8859-2"), "page.html")

    assert block.text == "Zawór otwiera się"


def test_links_leave_their_words_and_code_stays_whole() -> None:
    page = '<p>See <a href="http://example.org/x">the manual</a> for <code>apt_conf*</code>.</p><pre>a  b\n  c</pre>'

    [prose, code] = hypertext.parse(page).blocks

    assert prose.text == "See the manual for `apt_conf*`."
    assert code.kind is Kind.CODE
    assert "a  b\n  c" in code.text


def test_each_page_of_a_pdf_is_a_section_and_its_title_the_document_s() -> None:
    title, blocks = read(files.pdf("north", pages=3), "manual.pdf")

    assert title == "Valves"
    assert [block.section for block in blocks] == [("page 1",), ("page 2",), ("page 3",)]
    assert blocks[1].text == "The north valve opens at nine. This is sheet 2."


def test_words_broken_at_a_line_s_end_are_joined() -> None:
    assert pdf.joined("The pres-\r\nsure of the in\ufffe\r\ntake. North-\r\nSouth is 1-\r\n2.") == (
        "The pressure of the intake. North- South is 1- 2."
    )


def test_a_word_document_gives_headings_tables_and_its_title() -> None:
    title, blocks = read(files.word_document("north"), "manual.docx")

    assert title == "Valves"
    assert blocks[0] == Block(Kind.PROSE, "The north valve opens at nine.", ("Hours",))
    assert "| north | ten |" in blocks[1].text


def test_a_row_names_its_columns() -> None:
    _, blocks = read(files.csv("north"), "valves.csv")

    assert [block.text for block in blocks] == [
        "valve: north, the first; opens: nine; closes: noon.",
        "valve: south; opens: ten; closes: one.",
    ]


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("a;b\n1;2\n", ["a: 1; b: 2."]),
        ("name\nnorth\nsouth\n", ["name: north.", "name: south."]),
        ("a,b\n1,2,3\n4\n", ["a: 1; b: 2; 3.", "a: 4."]),
        ("only,a,header\n", ["only; a; header"]),
        ("\n\na,b\n\n1,\n", ["a: 1."]),
        ('a,b\n"two\nlines",x\n', ["a: two lines; b: x."]),
    ],
)
def test_irregular_tables_lose_no_cell(text: str, rows: list[str]) -> None:
    assert [block.text for block in table.parse(text).blocks] == rows


@pytest.mark.parametrize(
    "encoding",
    ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "cp1252", "koi8-r", "cp932"],
)
def test_text_comes_out_of_many_encodings(encoding: str) -> None:
    text = {
        "koi8-r": "Клапан открывается в девять часов утра и закрывается в полдень. " * 3,
        "cp932": "弁は九時に開き、正午に閉じます。点検は毎年行ってください。" * 3,
    }.get(encoding, "The valve opens at nine. " * 3 + "Größe, café, naïve – schön und früh. " * 3)

    assert decode(text.encode(encoding)) == text


@given(st.text(min_size=1))
def test_whatever_is_utf8_comes_out_as_it_was(text: str) -> None:
    controls = sum(ord(character) < 32 and character not in "\t\n\r\f\x1b" for character in text)
    if controls or text.startswith("\ufeff"):
        return
    assert decode(text.encode()) == text


@given(st.binary(max_size=400))
def test_any_bytes_are_text_or_refused(content: bytes) -> None:
    with suppress(Unparsable):
        assert isinstance(decode(content), str)


def test_gzip_may_have_several_members_and_ends_within_its_bound() -> None:
    assert gunzip(gzip.compress(b"one ") + gzip.compress(b"two")) == b"one two"
    with pytest.raises(Unparsable, match="64 MiB"):
        gunzip(gzip.compress(bytes(40 << 20)) * 2)


def test_first_bytes_win_over_the_name_and_a_given_kind_over_both() -> None:
    assert read(files.pdf("north"), "wrong.txt")[1][0].section == ("page 1",)
    assert read(b"# Not a heading", "a.md", MediaType.PLAIN)[1] == [Block(Kind.PROSE, "# Not a heading", ())]


def test_what_has_no_kind_is_refused_with_the_kinds_there_are() -> None:
    with pytest.raises(Unparsable, match=r"media_type.*text/csv"):
        read(b"words", "no-suffix")


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("a.MD", MediaType.MARKDOWN),
        ("docs/a.b.htm", MediaType.HTML),
        ("a.txt.gz", MediaType.PLAIN),
        ("README", MediaType.PLAIN),
        ("usr/share/doc/x/changelog.Debian.gz", MediaType.PLAIN),
        ("a.tar.gz", None),
        ("Makefile", None),
        ("a.png", None),
    ],
)
def test_a_name_tells_its_kind(name: str, kind: MediaType | None) -> None:
    assert media_type_of(name) is kind
