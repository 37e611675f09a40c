"""Hate, harassment, self-harm, sex, violence, crime: by linear heads over the built-in encoder."""

from typing import ClassVar

import numpy as np

from sluice_api.objects.guardrail_policy import ContentDetector as ContentSpec
from sluice_guardrail.domain.content.heads import Heads
from sluice_guardrail.domain.embedding import Embedder
from sluice_guardrail.domain.model import Detection, Finding
from sluice_guardrail.domain.texts import Text


class ContentDetector:
    """The score of a category is that of the window that shows most of it."""

    name: ClassVar[str] = "content"

    def __init__(self, spec: ContentSpec, embedder: Embedder, heads: Heads) -> None:
        self._embedder = embedder
        self._heads = heads
        self._wanted = [
            (index, category)
            for index, category in enumerate(heads.categories)
            if category in spec.categories
        ]
        self.version = f"heads-{heads.version}"

    def detect(self, subject: Text) -> Detection:
        """One finding for each category that shows at all."""
        windows = self._embedder.windows(subject.text)
        if not windows:
            return Detection.of(())
        scores = self._heads.scores(np.stack([window.vector for window in windows]))
        best = scores.argmax(axis=0)
        found = (
            Finding(str(category), round(float(scores[best[index], index]), 4), windows[best[index]].span)
            for index, category in self._wanted
        )
        return Detection.of(finding for finding in found if finding.score > 0)
