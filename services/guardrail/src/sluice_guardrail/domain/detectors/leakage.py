"""Parts of the prompt in an answer: chat markup, and the pipeline's own instructions."""

import re
from collections.abc import Iterator, Sequence
from typing import ClassVar

from sluice_guardrail.domain.model import Answer, Detection, Finding, Span
from sluice_guardrail.domain.normalising import folding

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
_WORD = re.compile(r"\w+")
#: So many words in a row that are also in the instructions are no accident.
_RUN = 8


class LeakageDetector:
    """What stands in a passage or in the question is quoted, not leaked."""

    name: ClassVar[str] = "leakage"
    version: ClassVar[str] = "1"

    def __init__(self, instructions: Sequence[str] = ()) -> None:
        """`instructions`: the system prompts whose text must not appear."""
        self._runs = frozenset(run for text in instructions for run, _, _ in _word_runs(folding.fold(text)))

    def detect(self, subject: Answer) -> Detection:
        """One finding for each place."""
        folded = folding.fold(subject.text)
        known = [folding.fold(text) for text in (*subject.passages, subject.question)]
        found = [
            (category, score, start, end)
            for category, score, start, end in self._places(folded)
            if not any(folded[start:end].strip() in text for text in known)
        ]
        if not found:
            return Detection.of(())
        indices = folding.sources(subject.text)
        return Detection.of(
            Finding(category, score, Span(indices[start], indices[end - 1] + 1))
            for category, score, start, end in found
        )

    def _places(self, folded: str) -> Iterator[tuple[str, float, int, int]]:
        for match in _MARKUP.finditer(folded):
            yield "chat-markup", 0.9, match.start(), match.end()
        for match in _OPENING.finditer(folded):
            yield "prompt-opening", 0.7, match.start(), match.end()
        if self._runs:
            for run, start, end in _word_runs(folded):
                if run in self._runs:
                    yield "instructions", 1.0, start, end


def _word_runs(folded: str) -> Iterator[tuple[tuple[str, ...], int, int]]:
    words = list(_WORD.finditer(folded))
    for index in range(len(words) - _RUN + 1):
        run = words[index : index + _RUN]
        yield tuple(word[0] for word in run), run[0].start(), run[-1].end()
