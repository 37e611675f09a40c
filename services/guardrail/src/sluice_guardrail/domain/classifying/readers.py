"""Who reads the windows of a text, and as what: one classifier, or a second one for what the first is unsure of."""

import re
from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from sluice_guardrail.domain.classifying.classifier import Classifier
from sluice_guardrail.domain.classifying.windows import Window
from sluice_guardrail.domain.model import Channel, Span

#: A run of one character says no more when it goes on: rulers, dots to a page number, padding. Classifiers that add up
#: what they see take it for something.
_RUN = re.compile(r"(\S)\1{7,}")
_KEPT_OF_A_RUN = 4


@runtime_checkable
class Skimming(Protocol):
    """A classifier that can tell cheaply where it is worth looking first."""

    def suspicion(self, windows: Sequence[str]) -> Sequence[float]:
        """Greater where an attack is likelier; on no particular scale."""
        ...


class Reader(Protocol):
    """Scores windows of a text. Thread-safe."""

    @property
    def version(self) -> str:
        """Changes whenever it may score the same text otherwise."""
        ...

    @property
    def threshold_set(self) -> str:
        """Which calibration its scores go by."""
        ...

    def cut(self, text: str) -> Sequence[Span]:
        """Overlapping stretches that cover a text."""
        ...

    def suspicion(self, windows: Sequence[Window]) -> Sequence[float]:
        """Greater where an attack is likelier."""
        ...

    def scores(self, windows: Sequence[Window], channel: Channel) -> Sequence[float]:
        """The calibrated score of each window."""
        ...


class FoldedReader:
    """Has a classifier read what is folded."""

    def __init__(self, classifier: Classifier) -> None:
        self._classifier = classifier
        self.version = f"{classifier.name}-{classifier.version}"
        self.threshold_set = classifier.threshold_set

    def cut(self, text: str) -> Sequence[Span]:
        """The classifier's windows."""
        return self._classifier.windows(text)

    def suspicion(self, windows: Sequence[Window]) -> Sequence[float]:
        """As the classifier sees it at a glance; else the ends of a text before its middle, where attacks stand."""
        if isinstance(self._classifier, Skimming):
            return self._classifier.suspicion([_squeezed(window.text) for window in windows])
        return [float(window.start == 0 or window.end == len(window.view.text)) for window in windows]

    def scores(self, windows: Sequence[Window], channel: Channel) -> Sequence[float]:
        """Of what is folded."""
        texts = [_squeezed(window.text) for window in windows]
        return self._classifier.scores(texts, channel, [window.total for window in windows])


def _squeezed(text: str) -> str:
    return _RUN.sub(lambda run: run[1] * _KEPT_OF_A_RUN, text)


class WrittenReader(FoldedReader):
    """Has a classifier read what is written, with its capitals; what folding makes plain it reads as well."""

    def scores(self, windows: Sequence[Window], channel: Channel) -> Sequence[float]:
        """The higher one where both are read."""
        texts: list[str] = []
        owners: list[int] = []
        for index, window in enumerate(windows):
            written = window.written
            texts.append(written)
            owners.append(index)
            if written.lower().split() != window.text.split():
                texts.append(window.text)
                owners.append(index)
        best = [0.0] * len(windows)
        totals = [windows[owner].total for owner in owners]
        for index, score in zip(owners, self._classifier.scores(texts, channel, totals), strict=True):
            best[index] = max(best[index], score)
        return best


class Cascade:
    """Two readers: the second decides where the first finds a window neither harmless nor clear.

    Args:
        grey: The first reader's scores from which on, and below which, the second one is asked.
    """

    def __init__(self, first: Reader, second: Reader, grey: tuple[float, float]) -> None:
        self._first, self._second = first, second
        self._low, self._high = grey
        self.version = f"{first.version}+{second.version}"
        self.threshold_set = f"{first.threshold_set}+{second.threshold_set}"

    def cut(self, text: str) -> Sequence[Span]:
        """The first reader's windows."""
        return self._first.cut(text)

    def suspicion(self, windows: Sequence[Window]) -> Sequence[float]:
        """As the first reader sees it."""
        return self._first.suspicion(windows)

    def scores(self, windows: Sequence[Window], channel: Channel) -> Sequence[float]:
        """Each window's, by whoever decides it."""
        scores = list(self._first.scores(windows, channel))
        grey = [index for index, score in enumerate(scores) if self._low <= score < self._high]
        if grey:
            asked = self._second.scores([windows[index] for index in grey], channel)
            for index, score in zip(grey, asked, strict=True):
                scores[index] = score
        return scores
