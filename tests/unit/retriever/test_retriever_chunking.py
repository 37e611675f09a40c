"""What a chunk is: whole sentences of one section, within the budget, with nothing lost."""

import re
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice_api.media_types import MediaType
from sluice_api.objects.knowledge_base import ChunkingMethod
from sluice_retriever.domain.chunking import Budget, chunk, context_line
from sluice_retriever.domain.markdown import blocks, plain_blocks
from sluice_retriever.domain.model import Chunk

SENTENCES = st.text(
    alphabet=st.sampled_from("abc defg ÄßéЖ日本。.!?\n\t#*|-`>1)\u00a0\u2028"), min_size=1, max_size=600
)
MEDIA_TYPES = st.sampled_from([MediaType.PLAIN, MediaType.MARKDOWN])
METHODS = st.sampled_from(ChunkingMethod)
BUDGETS = st.builds(Budget, st.integers(8, 60), st.integers(0, 3), st.just(80), METHODS)


def count_words(texts: Sequence[str]) -> list[int]:
    """A tokenizer's stand-in: words, and each non-ASCII letter for itself."""
    return [len(re.findall(r"[ -~]+?(?=\s|$)|[^\x00-\x7f]", text)) for text in texts]


def cut(text: str, budget: Budget, media_type: str = MediaType.PLAIN, title: str = "") -> list[Chunk]:
    cut_into = blocks if media_type == MediaType.MARKDOWN else plain_blocks
    return chunk(title, cut_into(text), budget, count_words)


def squeezed(text: str) -> str:
    return "".join(text.split())


@given(SENTENCES, BUDGETS)
def test_plain_text_is_all_there_in_order(text: str, budget: Budget) -> None:
    chunks = cut(text, replace(budget, overlap_sentences=0))

    assert squeezed("".join(piece.text for piece in chunks)) == squeezed(text)


@given(SENTENCES, BUDGETS, MEDIA_TYPES)
def test_no_chunk_is_over_the_budget(text: str, budget: Budget, media_type: MediaType) -> None:
    for piece in cut(text, budget, media_type):
        assert count_words([piece.text])[0] <= budget.max_tokens


@given(SENTENCES, BUDGETS, MEDIA_TYPES)
def test_sentences_lie_in_the_text_in_order_and_apart(
    text: str, budget: Budget, media_type: MediaType
) -> None:
    for piece in cut(text, budget, media_type):
        for span in piece.sentences:
            assert 0 <= span.start < span.end <= len(piece.text)
            assert piece.text[span.start : span.end].strip() == piece.text[span.start : span.end]
        for before, after in pairwise(piece.sentences):
            assert before.end <= after.start


@given(SENTENCES, BUDGETS, MEDIA_TYPES)
def test_every_word_of_the_text_is_in_some_chunk(text: str, budget: Budget, media_type: MediaType) -> None:
    chunks = cut(text, budget, media_type)

    kept = squeezed("".join(part for piece in chunks for part in (*piece.section, piece.text)))
    for word in re.findall(r"[a-gÄßéЖ]{2,}", text):
        assert word in kept


@given(SENTENCES, BUDGETS)
def test_the_same_document_is_cut_the_same_way(text: str, budget: Budget) -> None:
    assert cut(text, budget) == cut(text, budget)


@given(SENTENCES, BUDGETS)
def test_text_without_headings_is_cut_alike_by_heading_and_by_sentence(text: str, budget: Budget) -> None:
    by_heading, by_sentence = (
        cut(text, replace(budget, method=method))
        for method in (ChunkingMethod.HEADING, ChunkingMethod.SENTENCE)
    )

    assert by_heading == by_sentence


def test_sentences_of_a_plain_text_are_found() -> None:
    [piece] = cut("Dr. Meier came at 3.5 p.m. today. He left!", Budget(50, 0, 80))

    assert [piece.text[s.start : s.end] for s in piece.sentences] == [
        "Dr. Meier came at 3.5 p.m. today.",
        "He left!",
    ]


def test_the_next_chunk_repeats_the_last_sentence() -> None:
    text = "One two three four five. Six seven eight nine ten. Eleven twelve thirteen fourteen fifteen."

    chunks = cut(text, Budget(10, 1, 80))

    assert [piece.text for piece in chunks] == [
        "One two three four five. Six seven eight nine ten.",
        "Six seven eight nine ten. Eleven twelve thirteen fourteen fifteen.",
    ]


def test_headings_become_the_section_and_chunks_do_not_cross_them() -> None:
    text = "# Guide\nIntro here.\n## Install\nRun it.\n## Use\nAsk away.\n# Other\nMore."

    chunks = cut(text, Budget(50, 1, 80), MediaType.MARKDOWN)

    assert [(piece.section, piece.text) for piece in chunks] == [
        (("Guide",), "Intro here."),
        (("Guide", "Install"), "Run it."),
        (("Guide", "Use"), "Ask away."),
        (("Other",), "More."),
    ]


def test_a_heading_with_nothing_below_is_still_found() -> None:
    chunks = cut("# Questions\n## Is it free?\n## Is it fast?\nYes.", Budget(50, 0, 80), MediaType.MARKDOWN)

    assert [(piece.section, piece.text) for piece in chunks] == [
        (("Questions",), "Is it free?"),
        (("Questions", "Is it fast?"), "Yes."),
    ]


@pytest.mark.parametrize("method", [ChunkingMethod.SENTENCE, ChunkingMethod.RECURSIVE])
def test_headings_are_text_where_chunks_cross_them(method: ChunkingMethod) -> None:
    text = "# Guide\nIntro here.\n## Install\nRun it.\n## Use\nAsk away."

    [piece] = cut(text, Budget(50, 1, 80, method), MediaType.MARKDOWN)

    assert piece.section == ()
    assert piece.text == "Guide\nIntro here.\nInstall\nRun it.\nUse\nAsk away."
    assert [piece.text[s.start : s.end] for s in piece.sentences] == ["Intro here.", "Run it.", "Ask away."]


def test_a_paragraph_that_fits_is_not_cut_by_recursive() -> None:
    text = "One two three. Four five six.\n\nSeven eight nine. Ten eleven twelve."

    by_sentence = cut(text, Budget(9, 0, 80, ChunkingMethod.SENTENCE))
    by_recursive = cut(text, Budget(9, 0, 80, ChunkingMethod.RECURSIVE))

    assert by_sentence[0].text == "One two three. Four five six.\nSeven eight nine."
    assert [piece.text for piece in by_recursive] == [
        "One two three. Four five six.",
        "Seven eight nine. Ten eleven twelve.",
    ]


def test_recursive_cuts_a_long_paragraph_between_lines_and_a_long_line_between_sentences() -> None:
    text = "One two. Three four.\nFive six. Seven eight.\n\nNine ten eleven. Twelve thirteen. Fourteen."

    chunks = cut(text, Budget(5, 0, 80, ChunkingMethod.RECURSIVE))

    assert [piece.text for piece in chunks] == [
        "One two. Three four.",
        "Five six. Seven eight.",
        "Nine ten eleven. Twelve thirteen.",
        "Fourteen.",
    ]


def test_a_sentence_over_a_line_s_end_stays_whole() -> None:
    text = "One two three\nfour five. Six seven\neight nine."

    chunks = cut(text, Budget(6, 0, 80, ChunkingMethod.RECURSIVE))

    assert [piece.text for piece in chunks] == ["One two three four five.", "Six seven eight nine."]


def test_recursive_keeps_a_heading_with_what_it_heads() -> None:
    text = "Intro with five words here.\n\n# Install\n\nRun it. Then wait. Then look at it."

    chunks = cut(text, Budget(7, 0, 80, ChunkingMethod.RECURSIVE), MediaType.MARKDOWN)

    assert [piece.text for piece in chunks] == [
        "Intro with five words here.",
        "Install\nRun it. Then wait.",
        "Then look at it.",
    ]


def test_a_table_stays_together_where_it_fits() -> None:
    table = "| a | b |\n| --- | --- |\n| 1 | 2 |\n| 3 | 4 |"

    [piece] = cut(f"Before.\n\n{table}\n\nAfter.", Budget(60, 0, 80), MediaType.MARKDOWN)

    assert table in piece.text


def test_code_stays_together_and_holds_no_sentences() -> None:
    code = "```python\nx = 1. \nprint(x)\n```"

    [piece] = cut(f"Look. See:\n\n{code}", Budget(60, 0, 80), MediaType.MARKDOWN)

    assert code in piece.text
    assert [piece.text[s.start : s.end] for s in piece.sentences] == ["Look.", "See:"]


def test_a_long_list_is_cut_between_its_items() -> None:
    text = "\n".join(f"- item {number} has some words" for number in range(20))

    chunks = cut(text, Budget(15, 0, 80), MediaType.MARKDOWN)

    assert len(chunks) > 1
    assert all(piece.text.startswith("item") for piece in chunks)


def test_a_word_of_a_megabyte_is_cut_into_chunks_of_bearable_size() -> None:
    chunks = cut("x" * 1_000_000, Budget(200, 1, 254))

    assert max(len(piece.text) for piece in chunks) < 10_000
    assert sum(len(piece.text) for piece in chunks) == 1_000_000


def test_title_and_headings_take_their_part_of_what_the_model_reads() -> None:
    title = "one two three four five six seven eight nine ten"

    chunks = cut("word " * 40, Budget(40, 0, 40), title=title)

    assert all(count_words([f"{title}\n{piece.text}"])[0] <= 40 for piece in chunks)


@pytest.mark.parametrize(
    ("title", "section", "line"),
    [
        ("", (), ""),
        ("Guide", (), "Guide"),
        ("Guide", ("Guide", "Install"), "Guide › Install"),
        ("", ("A", "B"), "A › B"),
    ],
)
def test_the_context_line_says_each_thing_once(title: str, section: tuple[str, ...], line: str) -> None:
    assert context_line(title, section) == line
