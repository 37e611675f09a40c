"""Texts as vectors of what they mean, in windows that the built-in encoder reads at once."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np
from tokenizers import Tokenizer

from sluice_guardrail.domain.model import Span
from sluice_minilm.batching import batches
from sluice_minilm.model import DIMENSION, Floats, MiniLm, normalised
from sluice_minilm.tokenizing import load_tokenizer

#: Tokens of a window, without [CLS] and [SEP]; half of it overlaps the next.
WINDOW = 128
_STRIDE = 96
_BATCH_TOKENS = 512


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


class MiniLmEmbedder:
    """The built-in encoder, mean-pooled.

    Args:
        model: Loaded when it is first needed where none is given.
    """

    def __init__(self, model: MiniLm | None = None) -> None:
        self._given = model

    @cached_property
    def _model(self) -> MiniLm:
        return self._given or MiniLm()

    @cached_property
    def _tokenizer(self) -> Tokenizer:
        return load_tokenizer(truncate=False)

    def texts(self, texts: Sequence[str]) -> Floats:
        """One vector for each text."""
        return self._encoded(texts)

    def windows(self, text: str) -> list[Window]:
        """Overlapping windows that cover the text."""
        offsets = self._tokenizer.encode(text, add_special_tokens=False).offsets
        starts = range(0, max(1, len(offsets) - (WINDOW - _STRIDE)), _STRIDE)
        spans = [
            Span(offsets[at][0], offsets[min(at + WINDOW, len(offsets)) - 1][1]) for at in starts if offsets
        ]
        vectors = self._encoded([text[span.start : span.end] for span in spans])
        return [Window(span, vector) for span, vector in zip(spans, vectors, strict=True)]

    def _encoded(self, texts: Sequence[str]) -> Floats:
        vectors = np.zeros((len(texts), DIMENSION), np.float32)
        encodings = self._tokenizer.encode_batch(list(texts))
        for encoding in encodings:
            encoding.truncate(WINDOW + 2)
        for batch in batches([len(encoding.ids) for encoding in encodings], _BATCH_TOKENS):
            for index, states in zip(batch, self._model.states([encodings[i] for i in batch]), strict=True):
                vectors[index] = states.mean(axis=0)
        return normalised(vectors)
