"""Fusion as the engine would do it, but with each leg's word kept."""

from pathlib import Path

import qdrant_edge as edge
from hypothesis import given
from hypothesis import strategies as st

from sluice_retriever.domain.fusion import fuse
from sluice_retriever.domain.model import Leg, LegScore

RANKINGS = st.lists(st.integers(0, 30).map(str), unique=True, max_size=20).map(
    lambda ids: [(point, 1.0 - rank / 100) for rank, point in enumerate(ids)]
)
EQUAL = dict.fromkeys(Leg, 1.0)


def test_a_candidate_of_all_legs_beats_one_that_leads_a_single_leg() -> None:
    legs = {
        Leg.DENSE: [("a", 0.9), ("b", 0.8)],
        Leg.SPARSE: [("c", 9.0), ("b", 8.0)],
        Leg.TOKENS: [("b", 0.7)],
    }

    best = fuse(legs, EQUAL, 2, 10)

    assert [point for point, _, _ in best] == ["b", "a", "c"]
    assert best[0][2] == (
        LegScore(Leg.DENSE, 1, 0.8),
        LegScore(Leg.SPARSE, 1, 8.0),
        LegScore(Leg.TOKENS, 0, 0.7),
    )


def test_a_leg_without_weight_adds_nobody() -> None:
    legs = {Leg.DENSE: [("a", 0.9)], Leg.SPARSE: [("b", 5.0), ("a", 4.0)]}

    [(point, score, placed)] = fuse(legs, {**EQUAL, Leg.SPARSE: 0.0}, 2, 10)

    assert (point, score) == ("a", 0.5)
    assert LegScore(Leg.SPARSE, 1, 4.0) in placed


@given(RANKINGS, RANKINGS, st.integers(1, 100), st.integers(1, 10))
def test_scores_fall_and_no_more_come_than_asked_for(
    dense: list[tuple[str, float]], sparse: list[tuple[str, float]], k: int, top_k: int
) -> None:
    best = fuse({Leg.DENSE: dense, Leg.SPARSE: sparse}, EQUAL, k, top_k)

    scores = [score for _, score, _ in best]
    assert scores == sorted(scores, reverse=True)
    assert len(best) == min(top_k, len({point for point, _ in dense + sparse}))


def test_the_engine_computes_the_same(tmp_path: Path) -> None:
    vectors = {name: edge.EdgeVectorParams(2, edge.Distance.Dot) for name in ("dense", "sparse")}
    shard = edge.EdgeShard.create(str(tmp_path), edge.EdgeConfig(vectors=vectors))
    points = [
        edge.Point(id=i, vector={"dense": [1.0, float(i)], "sparse": [float((i * 7) % 10), 1.0]}, payload={})
        for i in range(10)
    ]
    shard.update(edge.UpdateOperation.upsert_points(points))
    queries = {leg: edge.Query.Nearest([1.0, 1.0], using=leg.value) for leg in (Leg.DENSE, Leg.SPARSE)}
    legs = {
        leg: [(str(p.id), p.score) for p in shard.query(edge.QueryRequest(6, query=query))]
        for leg, query in queries.items()
    }

    theirs = shard.query(
        edge.QueryRequest(
            10,
            query=edge.Fusion.Rrf(3, [2.0, 0.5]),
            prefetches=[edge.Prefetch(limit=6, query=query) for query in queries.values()],
        )
    )
    ours = fuse(legs, {Leg.DENSE: 2.0, Leg.SPARSE: 0.5}, 3, 10)
    shard.close()

    assert {str(p.id): round(p.score, 5) for p in theirs} == {p: round(s, 5) for p, s, _ in ours}
