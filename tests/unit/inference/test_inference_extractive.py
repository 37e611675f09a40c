"""The extractive engine: which sentences it quotes, and when it quotes none."""

from sluice_inference.domain.cleaning import readable
from sluice_inference.domain.extractive import choose
from sluice_inference.domain.model import Finish, FinishReason, Message, Passage, Sampling, Sentence, Task
from sluice_inference.engines.extractive import ExtractiveEngine
from sluice_lexical import datamarks
from sluice_lexical.unanswerable import ENGLISH, SENTENCES


def _passage(title: str, *sentences: tuple[str, float]) -> Passage:
    text, spans = "", []
    for sentence, similarity in sentences:
        start = len(text) + bool(text)
        text = f"{text} {sentence}".strip()
        spans.append(Sentence(start, start + len(sentence), similarity))
    return Passage(title, title, text, 1.0, tuple(spans))


CARE = _passage(
    "Care",
    ("The press needs its oil change after 40 hours of work.", 0.8),
    ("Only trained staff may do it.", 0.2),
)
ORIGIN = _passage("Origin", ("The press is made in Lisbon.", 0.4), ("It weighs nine tonnes.", 0.1))
QUESTION = "After how many hours does the press need its oil change?"


async def _generate(question: str, *passages: Passage, **sampling: object) -> tuple[str, Finish]:
    pieces = []
    task = Task((Message("user", question),), passages, Sampling(**sampling))
    async for event in ExtractiveEngine(4).generate(task):
        if isinstance(event, Finish):
            return "".join(pieces), event
        pieces.append(event.text)
    raise AssertionError("no finish")


async def test_quotes_the_sentence_that_answers_with_its_passage():
    text, finish = await _generate(QUESTION, ORIGIN, CARE)
    assert text.startswith("The press needs its oil change after 40 hours of work. [2]")
    assert "trained staff" not in text
    assert (finish.reason, finish.unanswerable) == (FinishReason.STOP, False)
    assert finish.completion_tokens > 0


async def test_says_so_where_nothing_answers():
    text, finish = await _generate("Who composed Tosca?", _passage("Care", ("Only staff may do it.", 0.02)))
    assert (text, finish.unanswerable) == (ENGLISH, True)
    assert (await _generate(QUESTION))[0] == ENGLISH
    assert (await _generate("Wer hat die Oper Tosca komponiert?"))[0] == SENTENCES["de"]


async def test_is_deterministic():
    assert await _generate(QUESTION, ORIGIN, CARE) == await _generate(QUESTION, ORIGIN, CARE)


async def test_stops_at_stop_words_and_at_the_limit():
    stopped, _ = await _generate(QUESTION, CARE, stop=("after",))
    assert stopped == "The press needs its oil change "
    short, finish = await _generate(QUESTION, CARE, max_tokens=3)
    assert (short, finish.reason) == ("", FinishReason.LENGTH)


async def test_quote_without_a_full_stop_gets_one():
    row = _passage("Table", ("| oil change of the press | after 40 hours |", 0.8))
    text, _ = await _generate(QUESTION, row)
    assert text == "oil change of the press: after 40 hours. [1]"


def test_same_sentence_in_two_passages_is_quoted_once():
    quotes = choose(QUESTION, (CARE, CARE), 4)
    assert [quote.number for quote in quotes] == [1]


def test_passage_without_vectors_is_read_by_its_words():
    bare = Passage("a", "Care", "Nothing here. The press needs its oil change after 40 hours of work.", 1.0)
    assert choose(QUESTION, (bare,), 4)[0].text == "The press needs its oil change after 40 hours of work."


def test_sentence_that_is_marked_as_data_is_not_quoted():
    marked = datamarks.marked("The press needs its oil change after 40 hours of work.")
    passage = _passage("Care", (marked, 0.9), ("The press needs it after 50 hours.", 0.8))
    assert [quote.text for quote in choose(QUESTION, [passage], 4)] == ["The press needs it after 50 hours."]
    assert choose(QUESTION, [Passage("Care", "Care", marked, 1.0)], 4) == []


def test_never_more_sentences_than_allowed():
    many = _passage(
        "Many", *((f"The press number {n} needs oil after {n} hours of work.", 0.8) for n in range(9))
    )
    assert len(choose(QUESTION, (many,), 2)) <= 2


def test_markdown_is_quoted_as_plain_text():
    assert (
        readable("- See [the guide](https://example.org) for **all** of it [3].")
        == "See the guide for all of it (3)."
    )
    assert readable("As shown [1, 3] and [2-4].") == "As shown (1, 3) and (2-4)."
    assert readable("| field | `meaning` |") == "field: `meaning`"
    assert readable("|---|---|") == ""
    assert readable("### Heading") == "Heading"
