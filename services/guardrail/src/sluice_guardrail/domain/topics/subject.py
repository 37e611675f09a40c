"""How much a text is about a subject, on a scale that means the same for every subject."""

from collections.abc import Sequence

import numpy as np

from sluice_guardrail.domain.topics.background import background
from sluice_minilm.model import Floats, normalised

#: Standard deviations above the background's mean likeness, and the score there. For a normal distribution one in
#: twenty, one in a hundred and one in a thousand of unrelated texts lie above 1.64, 2.33 and 3.09.
_DEVIATIONS = (0.0, 1.64, 2.33, 3.09, 6.0)
_SCORES = (0.0, 0.1, 0.3, 0.5, 1.0)
#: The same for texts that ought to be about a subject: the nearer, the lower.
_FAR_SCORES = (1.0, 0.5, 0.3, 0.1, 0.0)
#: Likeness to a subject whose background hardly varies would make every text near.
_LEAST_DEVIATION = 0.02


class Subject:
    """A subject, by the mean of its examples."""

    def __init__(self, name: str, examples: Floats) -> None:
        """`examples`: vectors of length 1, shape (examples, 384)."""
        self.name = name
        self._centre = normalised(examples.mean(axis=0))
        likeness = background() @ self._centre
        self._mean = float(likeness.mean())
        self._deviation = max(float(likeness.std()), _LEAST_DEVIATION)

    def nearness(self, vectors: Floats) -> Floats:
        """Scores of texts, shape (texts,): 0.5 is what one in a thousand unrelated texts reaches."""
        scores: Floats = np.interp(self.deviations(vectors), _DEVIATIONS, _SCORES).astype(np.float32)
        return scores

    def deviations(self, vectors: Floats) -> Floats:
        """How many standard deviations texts are nearer than what people ask about everything."""
        deviations: Floats = (vectors @ self._centre - self._mean) / self._deviation
        return deviations

    @staticmethod
    def distance(subjects: Sequence["Subject"], vectors: Floats) -> Floats:
        """How far texts are from every subject, shape (texts,): 0.5 where nineteen in twenty unrelated texts are."""
        nearest = np.stack([subject.deviations(vectors) for subject in subjects]).max(axis=0)
        scores: Floats = np.interp(nearest, _DEVIATIONS, _FAR_SCORES).astype(np.float32)
        return scores
