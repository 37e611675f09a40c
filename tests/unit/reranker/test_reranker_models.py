"""Late interaction, sentence-transformers, and rankers that have a scorer read."""

import json
import math
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sluice_api.objects.ranker import SentenceTransformers
from sluice_minilm.model import MiniLm
from sluice_minilm.token_vectors import TokenProjection
from sluice_minilm.tokenizing import load_tokenizer
from sluice_reranker.batching.pairs import Pair
from sluice_reranker.domain.model import Candidate, Question
from sluice_reranker.models.late_interaction import LateInteractionModel
from sluice_reranker.models.sentence_transformers import SentenceTransformersModel
from sluice_reranker.rankers.embedded import EmbeddedRanker
from sluice_reranker.rankers.pooled import read_text
from sluice_reranker.rankers.protocol import Scores
from sluice_reranker.rankers.reading import ReadingRanker
from sluice_servicekit.errors import FailedPrecondition
from support.pair_models import pairs


@pytest.fixture(scope="module")
def late() -> LateInteractionModel:
    return LateInteractionModel()


def test_late_interaction_prefers_the_passage_that_answers(late):
    found = late.relevance(
        pairs(
            "Bread is baked in the morning.",
            "The press needs fresh oil after 40 hours.",
            "",
            question="When is the oil of the press changed?",
        )
    )
    assert found[1] > found[0] > found[2] == 0.0
    assert all(0.0 <= each <= 1.0 for each in found)


def test_late_interaction_takes_the_questions_vectors_where_the_same_model_made_them(late):
    model = MiniLm()
    projection = TokenProjection(model)
    text = "When is the oil changed?"
    vectors = projection.of(model.states([load_tokenizer(truncate=True).encode(text)])[0])
    passage = "Oil is changed after 40 hours."
    [own] = late.relevance(pairs(passage, question=text))

    def found(question: Question) -> float:
        return late.relevance([Pair(question, passage)])[0]

    carried = Question("another text", vectors, projection.model_digest)
    assert found(carried) == pytest.approx(own, abs=1e-5)
    assert found(replace(carried, model_digest="another model")) != pytest.approx(own, abs=1e-3)
    assert found(Question(text, np.empty((0, 0), np.float32), projection.model_digest)) == pytest.approx(own)


@pytest.fixture
def library(tmp_path, monkeypatch) -> Iterator[Callable[..., None]]:
    """Installs such a library for the length of a test."""

    def install(outputs: int = 1) -> None:
        _library(tmp_path, outputs)
        monkeypatch.syspath_prepend(tmp_path)

    yield install
    for name in ("torch", "sentence_transformers"):
        sys.modules.pop(name, None)


def _library(folder: Path, outputs: int) -> None:
    """A library of sentence-transformers' interface, whose model counts letters."""
    (folder / "torch.py").write_text(
        "import types\nnn = types.SimpleNamespace(Identity=lambda: 'identity')\ndef set_num_threads(n): assert n == 1\n"
    )
    (folder / "sentence_transformers.py").write_text(
        "import numpy as np\n"
        "class CrossEncoder:\n"
        "    def __init__(self, path, *, max_length, device, local_files_only):\n"
        "        assert (device, local_files_only, max_length) == ('cpu', True, 64)\n"
        "        if 'broken' in path:\n"
        "            raise OSError('no weights')\n"
        "    def predict(self, pairs, *, batch_size, show_progress_bar, activation_fn):\n"
        "        assert (show_progress_bar, activation_fn) == (False, 'identity')\n"
        f"        found = np.array([[len(text) - len(question)] * {outputs} for question, text in pairs])\n"
        f"        return found[:, 0] if {outputs} == 1 else found\n"
    )


def _folder(path: Path) -> Path:
    path.mkdir()
    (path / "config.json").write_text(json.dumps({"model_type": "bert"}))
    return path


def test_sentence_transformers_gives_logits_which_become_relevance(tmp_path, library):
    library()
    spec = SentenceTransformers(path=str(_folder(tmp_path / "m")), max_tokens=64)
    model = SentenceTransformersModel(spec)
    assert model.relevance(pairs("ab", "abcd", question="abc")) == pytest.approx(
        [1 / (1 + math.exp(1)), 1 / (1 + math.exp(-1))]
    )
    assert model.name.startswith("m-")
    with pytest.raises(FailedPrecondition, match=r"cannot load the ranker in .*broken: no weights"):
        SentenceTransformersModel(spec.model_copy(update={"path": str(_folder(tmp_path / "broken"))}))
    with pytest.raises(FailedPrecondition, match=r"no config\.json; copy the model there"):
        SentenceTransformersModel(spec.model_copy(update={"path": str(tmp_path / "none")}))


def test_sentence_transformers_with_a_model_that_does_not_rank(tmp_path, library):
    library(outputs=3)
    model = SentenceTransformersModel(SentenceTransformers(path=str(_folder(tmp_path / "m")), max_tokens=64))
    with pytest.raises(FailedPrecondition, match="one figure for each pair"):
        model.relevance(pairs("ab"))


class Lengths:
    """Scores a text by its length; reads so many."""

    model = "lengths"

    def __init__(self, most: int = 100) -> None:
        self._most = most
        self.read = 0

    async def score(self, question: Question, candidates: Sequence[Candidate], until: float | None) -> Scores:
        self.read = len(candidates)
        scores = [len(each.text) / 10 for each in candidates[: self._most]]
        missing = [None] * (len(candidates) - len(scores))
        return Scores([*scores, *missing], "deadline" if missing else "")

    async def close(self) -> None:
        pass


CANDIDATES = [Candidate("", text, 0.5) for text in ("aaa", "oil press", "aaaaaa", "a")]


async def test_only_the_first_candidates_are_read():
    scorer = Lengths()
    ranking = await ReadingRanker(scorer, 3, EmbeddedRanker()).rank(Question("oil"), CANDIDATES, 0)
    assert scorer.read == 3
    assert [ranked.index for ranked in ranking.best] == [1, 2, 0, 3]
    assert (ranking.scored, ranking.partial_reason) == (3, "")


async def test_a_truncated_ranking_says_how_many_were_scored_and_why():
    ranking = await ReadingRanker(Lengths(1), 3, EmbeddedRanker()).rank(Question("oil"), CANDIDATES, 2)
    assert [ranked.index for ranked in ranking.best] == [0, 1]
    assert (ranking.scored, ranking.partial_reason) == (1, "deadline")


async def test_the_embedded_ranker_may_have_a_share():
    embedded = EmbeddedRanker()
    question = Question("oil press")
    known = {ranked.index: ranked.score for ranked in (await embedded.rank(question, CANDIDATES, 0)).best}
    ranking = await ReadingRanker(Lengths(), 4, embedded, 0.9).rank(question, CANDIDATES, 0)
    for ranked in ranking.best:
        expected = 0.1 * len(CANDIDATES[ranked.index].text) / 10 + 0.9 * known[ranked.index]
        assert ranked.score == pytest.approx(expected)


def test_a_title_is_read_with_its_text():
    assert read_text(Candidate("Care", "Change the oil.", 0.0)) == "Care\nChange the oil."
    assert read_text(Candidate("Care", "Care of presses", 0.0)) == "Care of presses"
    assert read_text(Candidate(" ", "Change the oil.", 0.0)) == "Change the oil."
