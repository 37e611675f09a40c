"""Whether passages carry an answer; what is looked for where they do not; passages of several searches in one list."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice_api.objects.rounds import Enough
from sluice_gateway.domain.evidence import weigh
from sluice_gateway.domain.fusing import fused
from sluice_gateway.domain.looking import How, Look, Looks, next_looks
from support.passages import Passage

QUESTION = "Where is the Corrib lathe made and how long may the Dunmore loom run?"
LATHE = Passage("lathe.md", "Corrib lathe", "l1", text="The Corrib lathe is made in Turin.", score=0.7)
LOOM = Passage("loom.md", "", "l2", text="For 120 hours the Dunmore loom may run, that long.", score=0.6)

TEXTS = st.lists(st.sampled_from("press kiln 40 hours Turin loom made oil change long".split()), max_size=8)
PASSAGES = st.lists(TEXTS.map(lambda words: Passage("d", text=" ".join(words))), max_size=6)


def test_evidence_is_as_thin_as_that_for_the_part_that_fares_worst():
    thin = weigh(QUESTION, [LATHE])
    assert thin.by_part == (1.0, 0.0)
    assert (thin.coverage, thin.best, thin.passages) == (0.0, 0.7, 1)
    assert thin.short_of(Enough()) == ("coverage",)
    both = weigh(QUESTION, [LATHE, LOOM])
    assert both.by_part == (1.0, 1.0)
    assert both.short_of(Enough()) == ()


def test_names_and_numbers_count_as_words_do():
    assert weigh("Which press holds 310 bar?", [Passage("a", text="A press of 300 bar")]).coverage == 2 / 4
    assert (
        weigh("Which press holds 310 bar?", [Passage("a", text="The press HOLDS 310 bars")]).coverage == 1.0
    )


def test_scripts_without_blanks_are_compared_by_pairs_of_characters():
    passage = Passage("a", text="这台压力机在里斯本制造。")
    assert weigh("压力机在哪里制造", [passage]).coverage > 0.5
    assert weigh("天气怎么样", [passage]).coverage == 0.0


def test_each_measure_has_its_threshold():
    evidence = weigh("Where is the lathe made?", [LATHE])
    assert evidence.short_of(Enough(coverage=1.0, passages=2, score=0.8)) == ("passages", "score")
    assert weigh("Where is the lathe?", []).short_of(Enough(passages=0)) == ("coverage",)
    assert weigh("What is it?", []).short_of(Enough()) == ("passages",)


@given(PASSAGES, PASSAGES, TEXTS)
def test_more_passages_never_hold_less(some: list[Passage], more: list[Passage], asked: list[str]):
    question = " ".join(asked)
    before, after = weigh(question, some), weigh(question, [*some, *more])
    assert 0.0 <= before.coverage <= after.coverage <= 1.0
    assert before.best <= after.best
    assert set(after.short_of(Enough())) <= set(before.short_of(Enough()))


def _next(question: str, passages: list[Passage], *asked: str, most: int = 4) -> Looks | None:
    return next_looks(question, weigh(question, passages), passages, {question, *asked}, most)


ONE, OTHER = "Where is the Corrib lathe made", "how long may the Dunmore loom run?"


def test_parts_are_looked_for_first_then_the_worst_with_the_best_passages_title():
    assert _next(QUESTION, [LATHE]) == Looks(How.SPLIT, (Look(ONE, ONE), Look(OTHER, OTHER)))
    assert _next(QUESTION, [LATHE], most=1) == Looks(How.SPLIT, (Look(OTHER, OTHER),))
    widened = f"{OTHER} Corrib lathe"
    assert _next(QUESTION, [LATHE], ONE, OTHER) == Looks(How.TITLE, (Look(widened, OTHER),))
    assert _next(QUESTION, [LATHE], ONE, OTHER, widened) is None


def test_question_is_looked_for_without_what_leads_to_it():
    question = "Could you tell me where the lathe is made?"
    assert _next(question, []) == Looks(
        How.TRIM, (Look("where the lathe is made?", "where the lathe is made?"),)
    )
    assert _next(question, [], "where the lathe is made?") is None


@pytest.mark.parametrize("passages", [[], [LOOM]])
def test_rules_that_know_nothing_new_say_so(passages: list[Passage]):
    assert _next("Where is the lathe made?", passages) is None


def _chunks(*ids: str, base: str = "default") -> list[Passage]:
    return [Passage("d", chunk_id=name, knowledge_base=base) for name in ids]


def test_passages_are_fused_by_reciprocal_rank_and_stand_once():
    both = fused([(1.0, _chunks("a", "b", "c")), (1.0, _chunks("c", "d"))])
    assert [passage.chunk_id for passage in both] == ["c", "a", "b", "d"]
    weighed = fused([(0.5, _chunks("a", "b")), (1.0, _chunks("c", "d"))])
    assert [passage.chunk_id for passage in weighed] == ["c", "d", "a", "b"]


def test_chunks_of_two_knowledge_bases_are_two():
    assert len(fused([(1.0, _chunks("a")), (1.0, _chunks("a", base="press"))])) == 2


def test_passage_is_taken_from_where_it_was_placed_best():
    first, second = Passage("d", "worse", "x"), Passage("d", "better", "x")
    assert fused([(1.0, [LATHE, first]), (1.0, [second])])[0].title == "better"


@given(st.lists(st.lists(st.sampled_from("abcdef"), unique=True), max_size=4))
def test_fusion_loses_and_doubles_nothing(rankings: list[list[str]]):
    result = [p.chunk_id for p in fused([(1.0, _chunks(*ids)) for ids in rankings])]
    assert sorted(result) == sorted({name for ids in rankings for name in ids})
