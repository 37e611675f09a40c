"""Texts as vectors of what they mean, in windows that the built-in encoder reads at once."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np

from sluice_guardrail.domain.classifying.stretches import stretches
from sluice_guardrail.domain.model import Span
from sluice_minilm.model import DIMENSION, Floats, MiniLm, normalised
from sluice_minilm.tokenizing import MAX_TOKENS, load_tokenizer

#: Tokens of a window, without [CLS] and [SEP]; the last 32 are also the first of the next.
WINDOW = 128
_STRIDE = 96


@dataclass(frozen=True, slots=True)
class Window:
    """A stretch of a text and what it means."""

    span: Span
    vector: Floats
    """Shape (384,), length 1."""


class Embedder(Protocol):
    """What the detectors of meaning need. Thread-safe."""

    def texts(self, texts: Sequence[str]) -> Floats:
        """One vector of length 1 for each text, shape (texts, 384); what is beyond a window is not read."""
        ...

    def windows(self, text: str) -> list[Window]:
        """Overlapping windows that cover the text."""
        ...


class Embedding:
    """The built-in encoder's mean over a text's tokens. Thread-safe.

    Args:
        longest: Tokens of a text that are read, [CLS] and [SEP] counted.
    """

    def __init__(self, model: MiniLm, longest: int = MAX_TOKENS) -> None:
        self._model = model
        self.tokenizer = load_tokenizer(truncate=False)
        """Of whole texts."""
        self._truncating = load_tokenizer(truncate=True)
        self._truncating.enable_truncation(longest)

    def of(self, texts: Sequence[str]) -> Floats:
        """Rows of length 1, shape (texts, 384).

        Each text goes through the model alone: its 8-bit steps are chosen by all that is in a batch, so that a text
        would score otherwise beside others. On one core a batch is no faster.
        """
        vectors = np.zeros((len(texts), DIMENSION), np.float32)
        for row, encoding in enumerate(self._truncating.encode_batch(list(texts))):
            vectors[row] = self._model.states([encoding])[0].mean(axis=0)
        return normalised(vectors)


class MiniLmEmbedder:
    """The built-in encoder, mean-pooled.

    Args:
        model: Loaded when it is first needed where none is given.
    """

    def __init__(self, model: MiniLm | None = None) -> None:
        self._given = model

    @cached_property
    def _embedding(self) -> Embedding:
        return Embedding(self._given or MiniLm(), longest=WINDOW + 2)

    def texts(self, texts: Sequence[str]) -> Floats:
        """One vector for each text."""
        return self._embedding.of(texts)

    def windows(self, text: str) -> list[Window]:
        """Overlapping windows that cover the text."""
        spans = stretches(text, self._embedding.tokenizer, WINDOW, _STRIDE)
        vectors = self._embedding.of([text[span.start : span.end] for span in spans])
        return [Window(span, vector) for span, vector in zip(spans, vectors, strict=True)]
