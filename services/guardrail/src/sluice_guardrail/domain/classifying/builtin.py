"""The built-in classifier of attacks: hashed n-grams and sentence embeddings, on one thread."""

import re
from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from sluice_guardrail.domain.classifying.head import HEADS, Head
from sluice_guardrail.domain.classifying.ngrams import NGrams
from sluice_guardrail.domain.classifying.stretches import stretches
from sluice_guardrail.domain.classifying.weights import Weights, shipped
from sluice_guardrail.domain.embedding import Embedding
from sluice_guardrail.domain.model import Channel, Span
from sluice_minilm.model import Floats, MiniLm

#: A word or two, such as a greeting, is shorter than what the weights were trained on, and no attack that rules do
#: not know; it keeps this share of its score.
_SHORT = re.compile(r"(?=.{0,32}\Z)[^a-z]*(?:[a-z']+[^a-z]*){0,2}", re.ASCII | re.DOTALL)
_SHORT_SHARE = 0.2
#: Changes with what is made of the weights.
_READING = "2"


class BuiltInClassifier:
    """Scores folded text. Thread-safe."""

    name: ClassVar[str] = "injection-classifier"

    def __init__(self, model: MiniLm, weights: Weights | None = None) -> None:
        """`weights` are the package's unless given."""
        used = weights or shipped()
        self._ngrams = NGrams()
        self._embedding = Embedding(model)
        self._heads = {name: Head.of(used, name) for name in HEADS.values()}
        self._glance: Floats = np.stack([head.ngrams for head in self._heads.values()]).sum(axis=0)
        self._scales = used.scales
        self.version = f"{used.version}-{_READING}"
        self.threshold_set = used.threshold_set

    def windows(self, text: str) -> Sequence[Span]:
        """Stretches of 62 tokens at most, of which the last 14 are also the first of the next."""
        return stretches(text, self._embedding.tokenizer)

    def scores(self, windows: Sequence[str], channel: Channel, totals: Sequence[int] = ()) -> Sequence[float]:
        """The calibrated score of each window, by how many its text has."""
        if not windows:
            return []
        scores = self._scales[channel].scores(self.logits(windows, channel), totals)
        return [
            score * _SHORT_SHARE if _SHORT.fullmatch(window) else score
            for window, score in zip(windows, scores, strict=True)
        ]

    def suspicion(self, windows: Sequence[str]) -> Sequence[float]:
        """What n-grams alone make of each window: little work, and a hint at where to look first."""
        return [float(value) for value in self._ngrams.sums(windows, self._glance)]

    def logits(self, windows: Sequence[str], channel: Channel) -> Floats:
        """What the channel's head makes of each window, before calibration, shape (windows,)."""
        return self._heads[HEADS[channel]].logits(self._embedding.of(windows), self._ngrams, windows)
