"""Cuts examples into the windows that the classifier reads, and encodes them once."""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from rich.progress import track
from scipy import sparse

from guardrail_training.reading import Example, Role, spaced
from sluice_guardrail.domain.classifying.ngrams import BUCKETS, NGrams
from sluice_guardrail.domain.classifying.stretches import stretches
from sluice_guardrail.domain.classifying.windows import windows
from sluice_guardrail.domain.embedding import Embedding
from sluice_guardrail.domain.model import Span
from sluice_guardrail.domain.texts import Text
from sluice_minilm.model import DIMENSION, MiniLm

Floats = npt.NDArray[np.float32]

#: Windows of one text that is trained on, evenly spaced; of others all are read.
_MOST = 32
_SAVED_EVERY = 4000


@dataclass(frozen=True)
class Windows:
    """Windows of many texts, with what the heads read of them."""

    texts: Sequence[str]
    owners: npt.NDArray[np.intp]
    """Which example each is of."""
    beside: npt.NDArray[np.bool_]
    """It lies outside of the part that attacks."""
    ngrams: sparse.csr_matrix
    """Shape (windows, buckets)."""
    embeddings: Floats
    """Shape (windows, 384)."""
    totals: npt.NDArray[np.intp]
    """How many windows each example has in all, shape (examples,)."""


class Encoder:
    """Encodes windows, each alone, as the service does; what was encoded before is read from a file."""

    def __init__(self, cache: Path) -> None:
        self._embedding = Embedding(MiniLm())
        self._ngrams = NGrams()
        self._path = cache / "windows.npz"
        self._known: dict[bytes, Floats] = {}
        if self._path.is_file():
            with np.load(self._path) as file:
                self._known = {
                    key.tobytes(): row for key, row in zip(file["keys"], file["rows"], strict=True)
                }

    def windows(self, examples: Sequence[Example], most: int = _MOST) -> Windows:
        """The windows that the service's detector would have read of each example's text."""
        cut: list[tuple[str, int, bool]] = []
        totals = np.zeros(len(examples), np.intp)
        for owner, example in enumerate(examples):
            found = list(self._cut(example))
            totals[owner] = len(found)
            kept = spaced(found, most) if example.role is Role.TRAIN else found
            cut += [(text, owner, beside) for text, beside in kept]
        texts = [text for text, _, _ in cut]
        return Windows(
            texts,
            np.array([owner for _, owner, _ in cut], np.intp),
            np.array([beside for _, _, beside in cut], np.bool_),
            self._matrix(texts),
            self._embeddings(texts),
            totals,
        )

    def _cut(self, example: Example) -> Iterable[tuple[str, bool]]:
        for window in windows(Text(example.text), lambda text: stretches(text, self._embedding.tokenizer)):
            yield window.text, _is_beside(window.source, example)

    def _matrix(self, texts: Sequence[str]) -> sparse.csr_matrix:
        rows = [self._ngrams.of(texts[at : at + 512]) for at in range(0, len(texts), 512)]
        owners = np.concatenate([row.owners + 512 * at for at, row in enumerate(rows)])
        buckets = np.concatenate([row.buckets for row in rows])
        values = np.concatenate([row.values for row in rows])
        return sparse.csr_matrix((values, (owners, buckets)), (len(texts), BUCKETS), np.float32)

    def _embeddings(self, texts: Sequence[str]) -> Floats:
        keys = [
            hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest() for text in texts
        ]
        missing = {key: text for key, text in zip(keys, texts, strict=True) if key not in self._known}
        for done, (key, text) in enumerate(
            track(missing.items(), "encoding windows", disable=not missing), 1
        ):
            self._known[key] = self._embedding.of([text])[0]
            if done % _SAVED_EVERY == 0 or done == len(missing):
                self._save()
        return np.array([self._known[key] for key in keys], np.float32).reshape(-1, DIMENSION)

    def _save(self) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        keys = np.array([np.frombuffer(key, np.uint8) for key in self._known])
        written = self._path.with_suffix(".new.npz")
        np.savez(written, keys=keys, rows=np.array(list(self._known.values()), np.float32))
        written.replace(self._path)


def _is_beside(span: Span, example: Example) -> bool:
    """True where less than half of the attacking part, and of the window, is in the window."""
    if not example.payload:
        return False
    start = example.text.find(example.payload)
    end = start + len(example.payload)
    shared = min(end, span.end) - max(start, span.start)
    return shared < min(len(example.payload), span.end - span.start) / 2
