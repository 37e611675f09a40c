"""Parameters of retrieval as they are typed, and how a search is explained."""

import io

import pytest
from rich.console import Console

from sluice_cli.errors import CommandError
from sluice_cli.retrieving import explanation_lines, legs_table, retrieval


def test_values_are_numbers_where_they_look_like_numbers():
    pairs = [
        "max_per_document=2",
        "diversity=0.5",
        "token_match=exact",
        "keyword_timeout=200ms",
        "parent = none",
    ]
    assert retrieval(pairs) == {
        "max_per_document": 2,
        "diversity": 0.5,
        "token_match": "exact",
        "keyword_timeout": "200ms",
        "parent": "none",
    }


def test_dots_reach_into_parts():
    assert retrieval(["fusion.k=60", "fusion.sparse=0"]) == {"fusion": {"k": 60, "sparse": 0}}


def test_options_of_their_own_win_and_absent_ones_say_nothing():
    named = {"diversity": 0.2, "min_similarity": None}
    assert retrieval(["diversity=0.9", "neighbours=1"], named) == {"diversity": 0.2, "neighbours": 1}


@pytest.mark.parametrize("pair", ["neighbours", "=1"])
def test_what_is_no_pair_is_wrong_use(pair: str):
    with pytest.raises(CommandError) as raised:
        retrieval([pair])
    assert "KEY=VALUE" in str(raised.value)


def test_a_value_has_no_parts():
    with pytest.raises(CommandError):
        retrieval(["fusion=1", "fusion.k=2"])


@pytest.mark.parametrize("text", ["nan", "NaN", "Infinity", "1e999"])
def test_what_json_cannot_say_is_sent_as_text(text: str):
    assert retrieval([f"diversity={text}"]) == {"diversity": text}
    with pytest.raises(CommandError):
        retrieval([], {"diversity": float(text)})


def _hit(document: str, knowledge_base: str, **ranks: int) -> dict[str, object]:
    legs = [{"leg": leg, "rank": rank, "score": 0.5} for leg, rank in ranks.items()]
    return {"document_id": document, "knowledge_base": knowledge_base, "score": 1.5, "legs": legs}


def _shown(*hits: dict[str, object]) -> list[list[str]]:
    console = Console(file=io.StringIO(), width=200)
    console.print(legs_table(hits))
    lines = console.file.getvalue().splitlines()
    return [[cell.strip() for cell in line.strip("┃│").split("┃" if "┃" in line else "│")] for line in lines]


def test_table_shows_where_each_leg_placed_a_passage():
    rows = _shown(_hit("a.md", "default", dense=0, tokens=2), _hit("b.md", "default", dense=1))
    assert rows[1] == ["", "document", "score", "dense", "tokens"]
    assert rows[3] == ["1", "a.md", "1.5000", "#1  0.500", "#3  0.500"]
    assert rows[4] == ["2", "b.md", "1.5000", "#2  0.500", "–"]


def test_table_names_knowledge_bases_where_there_are_several():
    rows = _shown(_hit("a.md", "law", dense=0), _hit("a.md", "press", dense=0))
    assert rows[1][2] == "kb"
    assert [row[2] for row in rows[3:5]] == ["law", "press"]


def test_explanation_says_what_was_decided_and_leaves_out_what_was_not():
    explanation = {
        "knowledge_base": "default",
        "acorn": "off",
        "acorn_reason": "no graph",
        "selectivity": None,
        "self_query": {"filter": None, "phrases": []},
        "candidates": {"sparse": 3, "dense": 100},
        "parameters": {"leg_limit": 100, "fusion": {"k": 2}},
        "model_digest": "0123456789abcdef",
        "generation": "",
    }
    assert explanation_lines(explanation) == [
        "[bold]default[/]",
        "  candidates   dense 100, sparse 3",
        "  acorn        off: no graph",
        "  parameters   leg_limit=100, fusion.k=2",
        "  model        0123456789ab",
    ]


def test_explanation_says_which_filter_the_question_gave():
    explanation = {
        "knowledge_base": "default",
        "acorn": None,
        "acorn_reason": "",
        "selectivity": 0.031,
        "self_query": {"filter": {"year": 2024}, "phrases": ["from 2024"]},
        "candidates": {},
        "parameters": {},
        "model_digest": "",
        "generation": "",
    }
    assert explanation_lines(explanation)[1:] == [
        "  selectivity  3.1% of the chunks pass the filter",
        '  filter read  {"year": 2024} from “from 2024”',
    ]
