"""Late interaction by the built-in encoder: the question's tokens with the passage's (MaxSim; Khattab and Zaharia
2020)."""

from collections.abc import Sequence

from sluice_minilm.batching import batches
from sluice_minilm.model import MiniLm
from sluice_minilm.token_vectors import TokenProjection
from sluice_minilm.tokenizing import MAX_TOKENS, load_tokenizer
from sluice_reranker.batching.pairs import Pair
from sluice_reranker.domain.model import Floats, Question

#: Padded tokens in one pass: what fits into a core's cache.
_BATCH_TOKENS = 512
#: More of a text is not cut into tokens: the model would read none of it.
_CHARACTERS = 16_384
#: Questions whose vectors are kept: the passages of one come in several batches.
_QUESTIONS = 64


class LateInteractionModel:
    """Encodes passages, and questions whose vectors were made by another model."""

    at_once = 8
    most_tokens = MAX_TOKENS

    def __init__(self) -> None:
        self._model = MiniLm()
        self._tokenizer = load_tokenizer(truncate=True)
        self._projection = TokenProjection(self._model)
        self._own: dict[str, Floats] = {}
        """Vectors of the latest questions that were encoded here, by their text."""
        self.name = f"late-interaction-{self._projection.model_digest[:12]}"

    def relevance(self, pairs: Sequence[Pair]) -> list[float]:
        """The mean, over the question's tokens, of the cosine with the passage's nearest token; 0 where it is less."""
        asked: dict[int, Floats] = {}
        for pair in pairs:
            if id(pair.question) not in asked:
                asked[id(pair.question)] = self._asked(pair.question)
        passages = self._vectors([pair.text for pair in pairs])
        return [
            _max_sim(asked[id(pair.question)], passage) for pair, passage in zip(pairs, passages, strict=True)
        ]

    def _asked(self, question: Question) -> Floats:
        if len(question.tokens) and question.model_digest == self._projection.model_digest:
            return question.tokens
        if question.text not in self._own:
            if len(self._own) >= _QUESTIONS:
                self._own.clear()
            self._own[question.text] = self._vectors([question.text])[0]
        return self._own[question.text]

    def _vectors(self, texts: Sequence[str]) -> list[Floats]:
        encodings = self._tokenizer.encode_batch([text[:_CHARACTERS] for text in texts])
        found: dict[int, Floats] = {}
        for batch in batches([len(encoding.ids) for encoding in encodings], _BATCH_TOKENS):
            states = self._model.states([encodings[index] for index in batch])
            found.update(
                (index, self._projection.of(rows)) for index, rows in zip(batch, states, strict=True)
            )
        return [found[index] for index in range(len(texts))]


def _max_sim(question: Floats, passage: Floats) -> float:
    if not len(question) or not len(passage):
        return 0.0
    return float(max(0.0, min(1.0, (question @ passage.T).max(axis=1).mean())))
