"""What the extractive engine quotes: nothing twice, each part of a question, and nothing that cannot stand alone."""

from sluice_inference.domain.cleaning import readable
from sluice_inference.domain.extractive import choose
from sluice_inference.domain.model import Passage, Sentence

QUESTION = "After how many hours does the press need its oil change?"


def _passage(name: str, *lines: tuple[str, float], joint: str = " ") -> Passage:
    text, spans = "", []
    for line, similarity in lines:
        start = len(text) + (len(joint) if text else 0)
        text = f"{text}{joint}{line}" if text else line
        spans.append(Sentence(start, start + len(line), similarity))
    return Passage(name, name, text, 0.8, tuple(spans))


def _quoted(question: str, *passages: Passage, most: int = 4) -> list[str]:
    return [quote.text for quote in choose(question, passages, most)]


def test_what_two_documents_say_alike_is_quoted_once():
    one = _passage("one", ("The press needs its oil change after 40 hours of its work.", 0.85))
    other = _passage("other", ("The press needs an oil change after 40 hours of work.", 0.84))
    assert [quote.number for quote in choose(QUESTION, [one, other], 4)] == [1]


def test_another_number_is_another_statement():
    one = _passage("one", ("The press needs its oil change after 40 hours of work.", 0.85))
    other = _passage("other", ("The press needs its oil change after 55 hours of work.", 0.84))
    assert [quote.number for quote in choose(QUESTION, [one, other], 4)] == [1, 2]


def test_sentence_that_leans_on_the_one_before_comes_with_it():
    passage = _passage(
        "Press",
        ("Nobody likes Mondays in the works.", 0.05),
        ("The Ardmore press stands in the northern hall.", 0.4),
        ("It needs its oil change after 40 hours of work.", 0.8),
    )
    question = "When does it need its oil change?"
    assert _quoted(question, passage) == [
        "The Ardmore press stands in the northern hall.",
        "It needs its oil change after 40 hours of work.",
    ]
    assert _quoted(question, passage, most=1) == ["It needs its oil change after 40 hours of work."]


def test_item_of_a_list_comes_with_the_line_that_leads_to_it():
    passage = _passage(
        "Press",
        ("The press needs its oil change:", 0.6),
        ("- after 40 hours of work", 0.7),
        ("Only trained staff may do it.", 0.1),
        joint="\n",
    )
    assert _quoted(QUESTION, passage) == ["The press needs its oil change: after 40 hours of work"]


def test_cells_of_a_wide_table_come_with_their_columns():
    passage = _passage(
        "Machines",
        ("| Machine | Oil change | Made in |", 0.5),
        ("|---|---|---|", 0.0),
        ("| Press | 40 hours | Lisbon |", 0.7),
        joint="\n",
    )
    assert _quoted(QUESTION, passage) == ["Press: Oil change 40 hours, Made in Lisbon"]
    assert readable("| Press | 40 hours | Lisbon |") == "Press: 40 hours: Lisbon"


def test_each_question_in_a_question_is_answered():
    care = _passage("Care", ("The press needs its oil change after 40 hours of work.", 0.8))
    origin = _passage(
        "Origin",
        ("The lathe is made in Turin.", 0.3),
        ("The kiln is made in Porto.", 0.35),
    )
    asked = "After how many hours does the press need its oil change, and where is the kiln made?"
    assert _quoted(asked, care, origin) == [
        "The press needs its oil change after 40 hours of work.",
        "The kiln is made in Porto.",
    ]
    assert "The kiln is made in Porto." in _quoted(asked, care, origin, most=2)


def test_text_without_blanks_is_quoted():
    passage = _passage(
        "プレス", ("プレスの油は四十時間ごとに交換します。", 0.7), ("重さは九トンです。", 0.2), joint=""
    )
    assert _quoted("プレスの油は何時間ごとに交換しますか？", passage) == [
        "プレスの油は四十時間ごとに交換します。"
    ]


def test_passage_without_vectors_is_cut_at_the_ends_of_sentences():
    text = "The press runs at 3.5 bar. プレスの油は四十時間ごとに交換します。重さは九トンです。"
    bare = Passage("a", "Care", text, 0.8)
    assert _quoted("At how many bar does the press run?", bare) == ["The press runs at 3.5 bar."]
    assert _quoted("プレスの油は何時間ごとに交換しますか？", bare) == [
        "プレスの油は四十時間ごとに交換します。"
    ]


def test_quote_says_where_it_stands():
    passage = _passage("Care", ("Only staff.", 0.1), ("The press needs its oil change after 40 hours.", 0.8))
    (quote,) = choose(QUESTION, [passage], 4)
    assert passage.text[quote.start : quote.end] == quote.text
