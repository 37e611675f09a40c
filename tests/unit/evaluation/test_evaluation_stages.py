"""What a stage would have answered, from one search's candidates."""

from dataclasses import replace

from evaluation.asking import Asked
from evaluation.stages import BM25, DENSE, HYBRID, STAGED, Candidates, rankings

from sluice_api.objects.retrieval import TokenMatch
from sluice_retriever.domain.fusion import fuse
from sluice_retriever.domain.model import Leg, LegScore, Passage
from sluice_retriever.domain.parameters import resolve

#: Chunks by leg, best first; the first letter names the document.
LEGS = {
    Leg.DENSE: ["a1", "a2", "b1", "c1"],
    Leg.SPARSE: ["c1", "b1", "d1"],
    Leg.TOKENS: ["d1", "b1", "a1", "c1", "a2"],
}


def _asked() -> Asked:
    legs = {leg: [(chunk, 1.0) for chunk in chunks] for leg, chunks in LEGS.items()}
    fused = fuse(legs, resolve().weights, resolve().k, 10)
    return Asked("question", [_passage(chunk, score, placed) for chunk, score, placed in fused])


def _passage(chunk: str, score: float, placed: tuple[LegScore, ...]) -> Passage:
    return Passage(chunk[0], chunk, "", "text", "{}", score, placed, ())


def test_a_document_stands_where_its_best_chunk_does() -> None:
    stages = rankings({"q": _asked()}, resolve())
    assert stages[DENSE]["q"] == ["a", "b", "c"]
    assert stages[BM25]["q"] == ["c", "b", "d"]


def test_the_hybrid_stage_knows_nothing_of_tokens() -> None:
    stages = rankings({"q": _asked()}, resolve())
    legs = {leg: [(chunk, 1.0) for chunk in LEGS[leg]] for leg in (Leg.DENSE, Leg.SPARSE)}
    fused = [chunk[0] for chunk, _, _ in fuse(legs, resolve().weights, resolve().k, 10)]
    assert stages[HYBRID]["q"] == list(dict.fromkeys(fused))
    assert stages[HYBRID]["q"] != stages[STAGED]["q"]


def test_other_parameters_give_what_a_search_with_them_would() -> None:
    candidates = Candidates.of(_asked())
    assert candidates.ranked(resolve()) == list(
        dict.fromkeys(passage.document_id for passage in _asked().passages)
    )
    # Of two candidates a leg, d1 is none; the tokens rank only what is left.
    short = replace(resolve(), leg_limit=2)
    assert candidates.ranked(short) == ["a", "b", "c"]
    alone = replace(short, token_match=TokenMatch.OFF, weights={**short.weights, Leg.DENSE: 0.0})
    assert candidates.ranked(alone) == ["c", "b"]
