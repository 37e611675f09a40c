"""Coded vectors keep what matters of the plain ones."""

from pathlib import Path

import numpy as np
import qdrant_edge as edge
from hypothesis import given
from hypothesis import strategies as st

from sluice_minilm.batching import batches
from sluice_retriever.domain.model import Floats
from sluice_retriever.store import coding
from sluice_retriever.store.edge import schema
from sluice_retriever.store.schema import Manifest, Shape

MANIFEST = Manifest(generation="g000001", model_digest="m", dense_dimension=384, shape=Shape())


def unit_rows(seed: int, *shape: int) -> Floats:
    rows = np.random.default_rng(seed).normal(size=shape).astype(np.float32)
    result: Floats = rows / np.linalg.norm(rows, axis=-1, keepdims=True)
    return result


def test_the_engine_over_coded_tokens_gives_the_mean_cosine_of_plain_ones(tmp_path: Path) -> None:
    question, passages = unit_rows(1, 12, 128), [unit_rows(seed, 30, 128) for seed in range(2, 42)]
    shard = edge.EdgeShard.create(str(tmp_path), schema.edge_config(MANIFEST, 1))
    points = [
        edge.Point(
            id=index, vector={"tokens": coding.encode_tokens(tokens).astype(float).tolist()}, payload={}
        )
        for index, tokens in enumerate(passages)
    ]
    shard.update(edge.UpdateOperation.upsert_points(points))

    coded = coding.encode_tokens(question).astype(float).tolist()
    found = shard.query(edge.QueryRequest(40, query=edge.Query.Nearest(coded, using="tokens")))
    shard.close()

    exact = [float((question @ tokens.T).max(axis=1).mean()) for tokens in passages]
    scores = {int(str(point.id)): coding.mean_cosine(point.score, len(question)) for point in found}
    assert max(abs(scores[index] - cosine) for index, cosine in enumerate(exact)) < 0.005
    assert [int(str(point.id)) for point in found] == sorted(scores, key=lambda index: -scores[index])


def test_sentence_similarities_survive_their_coding() -> None:
    sentences, question = unit_rows(1, 50, 384), unit_rows(2, 384)

    coded = coding.encode_sentences(sentences).tobytes()
    similarities = coding.sentence_similarities(coded, question)

    np.testing.assert_allclose(similarities, sentences @ question, atol=0.01)


def test_a_chunk_without_sentences_has_no_similarities() -> None:
    assert coding.sentence_similarities(b"", unit_rows(1, 384)) == []


@given(st.lists(st.integers(1, 256), max_size=100), st.integers(256, 4096))
def test_batches_hold_every_text_once_and_stay_within_their_size(lengths: list[int], most: int) -> None:
    found = list(batches(lengths, most))

    assert sorted(index for batch in found for index in batch) == list(range(len(lengths)))
    assert all(len(batch) * max(lengths[index] for index in batch) <= most for batch in found)
