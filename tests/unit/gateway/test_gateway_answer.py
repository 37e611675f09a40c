"""Citations and the list of sources."""

from sluice_gateway.domain.answer import citations, sources
from support.passages import Passage

PASSAGES = (Passage("a.md", "A"), Passage("b.md"), Passage("c.md", "c.md"))


def test_marks_name_passages_once_each_with_every_place():
    found = citations("One [2]. Two [1]. Three [2].", PASSAGES)
    assert [(citation.number, citation.document_id) for citation in found] == [(1, "a.md"), (2, "b.md")]
    assert found[1].marks == ((4, 7), (24, 27))


def test_lists_and_ranges():
    assert [citation.number for citation in citations("[1, 3]", PASSAGES)] == [1, 3]
    assert [citation.number for citation in citations("[1-3]", PASSAGES)] == [1, 2, 3]


def test_what_names_no_passage_is_left_out():
    assert citations("[0] [4] [999] [1](https://example.org) [x]", PASSAGES) == ()


def test_sources_are_listed_under_the_answer():
    cited = citations("[1] [2] [3]", PASSAGES)
    assert sources(cited) == "\n\nSources:\n[1] A (a.md)\n[2] b.md\n[3] c.md"
    assert sources(()) == ""
