"""Parts of the prompt in an answer: chat markup, the pipeline's own instructions, the run's canary."""

import re
from collections.abc import Iterator, Sequence
from typing import ClassVar

from sluice_guardrail.domain.leaking.canaries import CanarySearch
from sluice_guardrail.domain.leaking.instructions import InstructionSearch
from sluice_guardrail.domain.leaking.squeezing import skeleton
from sluice_guardrail.domain.model import Detection, Finding, Span
from sluice_guardrail.domain.normalising import folding
from sluice_guardrail.domain.texts import Answer, Text

_MARKUP = re.compile(
    r"<\|(?:im_start|im_end|start_header_id|end_header_id|eot_id|system|user|assistant|endoftext|end_of_turn)\|>"
    r"|<</?sys>>|\[/?inst\]|</?start_of_turn>"
)
_OPENING = re.compile(
    r"(?:my|the) (?:system prompt|system message|initial instructions|hidden instructions|original instructions)"
    r"(?: (?:is|are|says?|reads?|states?|was|were)(?: as follows)?)? ?[:\"“]"
    r"|my instructions (?:are|say|read|were|state)\b"
    r"|(?:^|[\n:\"“]) ?you are (?:an? |the )?(?:helpful |ai |large )[a-z ]{0,40}(?:assistant|model)\b"
)
#: Right before an opening in its sentence these make it a refusal.
_REFUSING = re.compile(
    r"\b(?:cannot|can ?not|can't|can’t|won't|won’t|will not|unable to|not able to|not allowed to|must not|may not"
    r"|don't|don’t|do not|never|refuse to|decline to)\b[^.!?\n]*$"
)
_LOOK_BACK = 120


class LeakageDetector:
    """What stands in a passage or in the question is quoted, not leaked; a canary never stands there."""

    name: ClassVar[str] = "leakage"
    version: ClassVar[str] = "2"

    def __init__(self, instructions: Sequence[str] = ()) -> None:
        """`instructions`: the system prompts whose text must not appear."""
        self._instructions = InstructionSearch(instructions)

    def detect(self, subject: Answer) -> Detection:
        """One finding for each place."""
        text = subject.written
        return Detection.of([*_canaries(subject, text), *self._own_words(subject, text), *_signs(subject)])

    def _own_words(self, subject: Answer, text: Text) -> Iterator[Finding]:
        known: list[str] = []
        for run in self._instructions.search(text):
            known = known or [skeleton(each) for each in (*subject.passages, subject.question)]
            if not any(run.letters in each for each in known):
                yield Finding("instructions", 1.0, run.span, run.view)


def _canaries(subject: Answer, text: Text) -> Iterator[Finding]:
    place = CanarySearch(subject.canaries).search(text) if subject.canaries else None
    if place is not None:
        yield Finding("canary", 1.0, place.span, place.view)


def _signs(subject: Answer) -> Iterator[Finding]:
    folded = folding.fold(subject.text)
    found = [*_places(folded)]
    if not found:
        return
    known = [folding.fold(text) for text in (*subject.passages, subject.question)]
    indices = folding.sources(subject.text)
    for category, score, start, end in found:
        if not any(folded[start:end].strip() in text for text in known):
            yield Finding(category, score, Span(indices[start], indices[end - 1] + 1))


def _places(folded: str) -> Iterator[tuple[str, float, int, int]]:
    for match in _MARKUP.finditer(folded):
        yield "chat-markup", 0.9, match.start(), match.end()
    for match in _OPENING.finditer(folded):
        if not _REFUSING.search(folded, max(0, match.start() - _LOOK_BACK), match.start()):
            yield "prompt-opening", 0.7, match.start(), match.end()
