"""Tokens that match only their like, coded as bytes for an engine's MaxSim."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt
import qdrant_edge as edge
from hypothesis import given
from hypothesis import strategies as st

from sluice_api.objects.knowledge_base import TokenVectors
from sluice_api.objects.retrieval import TokenMatch
from sluice_retriever.domain.model import Floats, TokenIds
from sluice_retriever.store import exact_tokens
from sluice_retriever.store.edge import schema
from sluice_retriever.store.schema import Manifest, Shape, Vector

IDS = st.lists(st.integers(0, exact_tokens.MAX_TOKEN_ID), min_size=1, max_size=20)


def tokens(seed: int, count: int) -> Floats:
    """Unit vectors whose variance falls from the first component to the last, as the projection's does."""
    rows = np.random.default_rng(seed).normal(size=(count, 128)) * np.linspace(1.0, 0.4, 128)
    result: Floats = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    return result


def ids(*found: int) -> TokenIds:
    return np.array(found, np.uint32)


def distance(question: npt.NDArray[np.uint8], chunk: npt.NDArray[np.uint8]) -> float:
    """MaxSim with Euclid, as the engine gives it."""
    squares = ((question[:, None].astype(float) - chunk[None].astype(float)) ** 2).sum(axis=2)
    return float(np.sqrt(squares.min(axis=1).sum()))


def scored(question_ids: TokenIds, question: Floats, chunk_ids: TokenIds, chunk: Floats) -> float:
    coded = exact_tokens.encode_question(question_ids, question)
    return exact_tokens.score(distance(coded, exact_tokens.encode_chunk(chunk_ids, chunk)), len(coded))


def cosine(one: Floats, other: Floats) -> float:
    return float(one @ other / np.linalg.norm(one) / np.linalg.norm(other))


def test_codes_of_any_two_ids_differ_in_24_places_at_least() -> None:
    everything = np.arange(exact_tokens.MAX_TOKEN_ID + 1, dtype=np.uint32)
    zeros = np.zeros((len(everything), 128), np.float32)

    codes = exact_tokens.encode_question(everything, zeros)[:, 128:] > 128

    # Linear: the difference of two codes is the code of some third id.
    assert not codes[0].any()
    assert (codes[1:].sum(axis=1) >= 24).all()
    assert ((codes[0b1100] ^ codes[0b0101]) == codes[0b1001]).all()


@given(IDS, IDS, st.integers(0, 1000))
def test_a_question_of_other_tokens_scores_next_to_nothing(
    one: list[int], other: list[int], seed: int
) -> None:
    foreign = ids(*(set(other) - set(one)) or {(max(one) + 1) % 65536})

    score = scored(ids(*one), tokens(seed, len(one)), foreign, tokens(seed + 1, len(foreign)))

    assert -0.01 < score < 0.05


def test_another_token_in_the_same_place_scores_a_quarter_at_most() -> None:
    same = tokens(1, 1)
    every = np.arange(1, exact_tokens.MAX_TOKEN_ID + 1, dtype=np.uint32)
    others = exact_tokens.encode_question(every, np.repeat(same, len(every), axis=0))
    null = exact_tokens.encode_chunk(ids(), same[:0])

    score = scored(ids(0), same, ids(0), same)
    worst = exact_tokens.score(
        distance(exact_tokens.encode_question(ids(0), same), np.concatenate([others, null])), 1
    )

    assert score > 0.99
    assert worst < 0.26


def test_the_same_token_scores_its_cosine_and_no_less_than_nothing() -> None:
    near, far = tokens(1, 2)
    question = (near + 0.6 * far)[None] / np.linalg.norm(near + 0.6 * far)

    assert abs(scored(ids(7), question, ids(7), near[None]) - cosine(question[0], near)) < 0.01
    assert abs(scored(ids(7), question, ids(7), -near[None])) < 0.01


def test_occurrences_of_a_token_are_one_row_their_mean() -> None:
    chunk = tokens(1, 3)

    rows = exact_tokens.encode_chunk(ids(9, 4, 9), chunk)

    assert rows.shape == (3, exact_tokens.DIMENSION)
    assert (rows[-1] == 128).all()
    mean = (chunk[0] + chunk[2])[None] / np.linalg.norm(chunk[0] + chunk[2])
    assert abs(scored(ids(9), mean, ids(9, 4, 9), chunk) - 1.0) < 0.01


def test_the_engine_ranks_by_the_mean_cosine_of_like_tokens(tmp_path: Path) -> None:
    question, question_ids = tokens(1, 6), ids(3, 8, 15, 15, 1000, 30521)
    random = np.random.default_rng(2)
    passages = [
        (random.choice(question_ids.tolist() + list(range(50)), 20), tokens(seed, 20)) for seed in range(40)
    ]
    shape = Shape(tokens=TokenVectors(match=(TokenMatch.EXACT,)))
    manifest = Manifest(generation="g000001", model_digest="m", dense_dimension=384, shape=shape)
    shard = edge.EdgeShard.create(str(tmp_path), schema.edge_config(manifest, 1))
    points = [
        edge.Point(
            id=index,
            vector={Vector.EXACT_TOKENS: exact_tokens.encode_chunk(ids(*found), rows).astype(float).tolist()},
            payload={},
        )
        for index, (found, rows) in enumerate(passages)
    ]
    shard.update(edge.UpdateOperation.upsert_points(points))

    coded = exact_tokens.encode_question(question_ids, question).astype(float).tolist()
    nearest = edge.Query.Nearest(coded, using=Vector.EXACT_TOKENS)
    found = shard.query(edge.QueryRequest(40, query=nearest))
    shard.close()

    scores = [exact_tokens.score(point.score, len(question)) for point in found]
    expected = [
        scored(question_ids, question, ids(*passages[int(str(point.id))][0]), passages[int(str(point.id))][1])
        for point in found
    ]
    np.testing.assert_allclose(scores, expected, atol=1e-4)
    assert all(before >= after for before, after in pairwise(scores))
