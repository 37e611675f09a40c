"""Chunks that grow by their neighbours."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice_api.objects.retrieval import Parent
from sluice_retriever.domain.chunking import Budget, chunk
from sluice_retriever.domain.expansion import Grown, Hit, Piece, grow, reach
from sluice_retriever.domain.markdown import Block, Kind
from sluice_retriever.domain.model import SentenceScore, Span


def _piece(ordinal: int, *sentences: str, section: tuple[str, ...] = (), similarity: float = 0.0) -> Piece:
    text, scores = "", []
    for sentence in sentences:
        text += " " if text else ""
        scores.append(SentenceScore(Span(len(text), len(text) + len(sentence)), similarity))
        text += sentence
    return Piece(ordinal, section, text, tuple(scores))


def _grow(
    pieces: Sequence[Piece],
    hits: Sequence[int],
    neighbours: int = 0,
    parent: Parent = Parent.NONE,
    most: int = 4000,
) -> list[Grown]:
    return grow([Hit("d", pieces[hit]) for hit in hits], {"d": pieces}, neighbours, parent, most)


def _sentences(grown: Grown) -> list[str]:
    return [grown.text[each.span.start : each.span.end] for each in grown.sentences]


LETTERS = [_piece(index, f"This is {letter}.") for index, letter in enumerate("abcdefg")]


def _texts(found: Sequence[Grown]) -> list[str]:
    return ["".join(part[-2] for part in grown.text.split("\n")) for grown in found]


@pytest.mark.parametrize(
    ("hits", "neighbours", "texts", "held"),
    [
        ([3], 1, ["cde"], [(0,)]),
        ([0], 2, ["abc"], [(0,)]),
        ([6], 2, ["efg"], [(0,)]),
        ([3, 4], 1, ["cde"], [(0, 1)]),  # one lies in the other's passage
        ([1, 3], 1, ["abcde"], [(0, 1)]),  # they grew into each other
        ([5, 2], 1, ["efg", "bcd"], [(0,), (1,)]),  # side by side, yet neither reached the other
        ([1, 6, 3], 1, ["abcde", "fg"], [(0, 2), (1,)]),
        ([3, 4, 0], 0, ["d", "e", "a"], [(0,), (1,), (2,)]),
    ],
)
def test_neighbours_are_joined_and_no_chunk_twice(
    hits: list[int], neighbours: int, texts: list[str], held: list[tuple[int, ...]]
):
    found = _grow(LETTERS, hits, neighbours)
    assert _texts(found) == texts
    assert [grown.hits for grown in found] == held


def test_a_passage_stays_around_its_hit_where_there_is_no_room_for_all():
    [grown] = _grow(LETTERS, [3], parent=Parent.DOCUMENT, most=5 * len("This is a.\n"))
    assert _texts([grown]) == ["bcdef"]


def test_what_has_no_room_on_one_side_goes_to_the_other():
    pieces = [LETTERS[0], LETTERS[1], _piece(2, "x" * 100 + "."), *LETTERS[3:]]
    [grown] = _grow(pieces, [3], parent=Parent.DOCUMENT, most=60)
    assert _texts([grown]) == ["defg"]


def test_two_passages_that_are_too_long_together_stay_two_without_repeating():
    found = _grow(LETTERS, [1, 4], neighbours=2, most=4 * len("This is a.\n"))
    assert _texts(found) == ["abcd", "efg"]


def test_a_section_ends_where_another_begins():
    sections = [("A",), ("B",), ("B",), ("B",), ("A",)]
    pieces = [_piece(index, f"This is {index}.", section=section) for index, section in enumerate(sections)]
    assert _texts(_grow(pieces, [2], parent=Parent.SECTION)) == ["123"]
    assert _texts(_grow(pieces, [4, 0], parent=Parent.SECTION)) == ["4", "0"]


def test_a_document_shows_where_its_sections_begin():
    pieces = [
        _piece(0, "Hello."),
        _piece(1, "Run make.", section=("Guide", "Install")),
        _piece(2, "The end."),
    ]
    [grown] = _grow(pieces, [0], parent=Parent.DOCUMENT)
    assert grown.text == "Hello.\n\nInstall\nRun make.\n\nThe end."
    assert _sentences(grown) == ["Hello.", "Run make.", "The end."]


def test_a_sentence_that_two_chunks_share_stands_once_with_its_better_similarity():
    pieces = [
        _piece(0, "🦦 sleeps.", "Yes.", similarity=0.2),
        _piece(1, "Yes.", "It rains.", similarity=0.7),
    ]
    [grown] = _grow(pieces, [1], neighbours=1)
    assert grown.text == "🦦 sleeps. Yes. It rains."
    assert _sentences(grown) == ["🦦 sleeps.", "Yes.", "It rains."]
    assert [each.similarity for each in grown.sentences] == [0.2, 0.7, 0.7]


def test_missing_chunks_end_a_passage():
    known = {"d": [LETTERS[1], LETTERS[2], LETTERS[5]]}
    [grown] = grow([Hit("d", LETTERS[2])], known, 3, Parent.NONE)
    assert _texts([grown]) == ["bc"]
    [alone] = grow([Hit("other", LETTERS[2])], known, 3, Parent.NONE)
    assert alone.text == LETTERS[2].text


def test_documents_do_not_mix():
    known = {"d": LETTERS, "e": LETTERS}
    found = grow([Hit("d", LETTERS[1]), Hit("e", LETTERS[2])], known, 1, Parent.NONE)
    assert _texts(found) == ["abc", "bcd"]


def test_nothing_is_read_where_nothing_grows():
    assert reach(0, Parent.NONE) == 0
    assert reach(2, Parent.NONE) == 2
    assert reach(0, Parent.SECTION) > 2


WORDS = st.text("abc🦦ß", min_size=1, max_size=6)


@given(
    st.lists(WORDS, min_size=1, max_size=40),
    st.integers(2, 12),
    st.integers(0, 3),
)
def test_the_chunks_of_a_paragraph_grow_back_into_it(words: list[str], room: int, overlap: int):
    # Numbered, so that no sentence repeats but by chunking.
    text = " ".join(f"{word} number {index}." for index, word in enumerate(words))
    budget = Budget(max_tokens=room, overlap_sentences=overlap, window=1000)
    chunks = chunk(
        "", [Block(Kind.PROSE, text, ())], budget, lambda texts: [len(each.split()) for each in texts]
    )
    pieces = [
        Piece(index, (), each.text, tuple(SentenceScore(span, 0.1) for span in each.sentences))
        for index, each in enumerate(chunks)
    ]
    [grown] = _grow(pieces, [len(pieces) // 2], parent=Parent.DOCUMENT, most=100_000)
    assert grown.text.replace("\n", " ") == text
    spans = [each.span for each in grown.sentences]
    assert spans == sorted(set(spans), key=lambda span: span.start)


@given(
    st.lists(st.integers(1, 30), min_size=1, max_size=20),
    st.data(),
    st.integers(0, 3),
    st.sampled_from(list(Parent)),
    st.integers(10, 120),
)
def test_every_hit_stands_in_one_passage_within_bounds(
    lengths: list[int], data: st.DataObject, neighbours: int, parent: Parent, most: int
):
    pieces = [
        _piece(index, f"{index:03}" + "x" * length, section=(str(index // 4),), similarity=index / 100)
        for index, length in enumerate(lengths)
    ]
    hits = data.draw(st.lists(st.sampled_from(range(len(pieces))), unique=True, min_size=1))
    found = _grow(pieces, hits, neighbours, parent, most)
    assert sorted(index for grown in found for index in grown.hits) == list(range(len(hits)))
    assert [grown.hits[0] for grown in found] == sorted(grown.hits[0] for grown in found)
    shown = [sentence for grown in found for sentence in _sentences(grown)]
    assert len(shown) == len(set(shown))
    for grown in found:
        assert len(grown.text) <= max(most, len(pieces[hits[grown.hits[0]]].text))
        ordinals = [int(sentence[:3]) for sentence in _sentences(grown)]
        assert ordinals == list(range(ordinals[0], ordinals[-1] + 1))
        assert {hits[index] for index in grown.hits} <= set(ordinals)
        assert [each.similarity for each in grown.sentences] == [ordinal / 100 for ordinal in ordinals]
    if neighbours == 0 and parent is Parent.NONE:
        assert [grown.text for grown in found] == [pieces[hit].text for hit in hits]
