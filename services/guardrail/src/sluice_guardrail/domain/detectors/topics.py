"""Subjects that are unwanted, or none of those that are wanted."""

import re
from typing import ClassVar

import numpy as np

from sluice_api.objects.guardrail_policy import TopicDetector as TopicSpec
from sluice_guardrail.domain.embedding import Embedder
from sluice_guardrail.domain.model import Detection, Finding
from sluice_guardrail.domain.texts import Text
from sluice_guardrail.domain.topics.subject import Subject

#: Category of a text that is about none of the wanted subjects.
_OFF_TOPIC = "off-topic"
#: Fewer words, as in "and why?", are about nothing by themselves; they are never off topic.
_FEWEST_WORDS = 4
_WORD = re.compile(r"\w+")


class TopicDetector:
    """Likeness to examples, by the built-in encoder."""

    name: ClassVar[str] = "topics"
    version: ClassVar[str] = "centroid-1"

    def __init__(self, spec: TopicSpec, embedder: Embedder) -> None:
        self._embedder = embedder
        self._denied = [
            Subject(topic.name, embedder.texts(topic.examples)) for topic in spec.topics if topic.deny
        ]
        self._wanted = [
            Subject(topic.name, embedder.texts(topic.examples)) for topic in spec.topics if not topic.deny
        ]

    def detect(self, subject: Text) -> Detection:
        """One finding for each unwanted subject, where it is nearest, and one for a text that is off topic."""
        windows = self._embedder.windows(subject.text)
        if not windows:
            return Detection.of(())
        vectors = np.stack([window.vector for window in windows])
        findings = []
        for denied in self._denied:
            nearness = denied.nearness(vectors)
            best = int(nearness.argmax())
            findings.append(Finding(denied.name, round(float(nearness[best]), 4), windows[best].span))
        if self._wanted and len(_WORD.findall(subject.text, endpos=1000)) >= _FEWEST_WORDS:
            distance = Subject.distance(self._wanted, vectors)
            nearest = int(distance.argmin())
            findings.append(Finding(_OFF_TOPIC, round(float(distance[nearest]), 4), windows[nearest].span))
        return Detection.of(finding for finding in findings if finding.score > 0)
