"""A pipeline's own instructions in an answer, word for word or letter for letter."""

import codecs
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sluice_guardrail.domain.leaking.squeezing import Squeezed, skeleton
from sluice_guardrail.domain.model import Span
from sluice_guardrail.domain.normalising import folding
from sluice_guardrail.domain.normalising.ciphers import REVERSED, ROT13
from sluice_guardrail.domain.texts import Text

#: Words; the numbers of a list's items are none.
_WORD = re.compile(r"[^\W\d_]\w*")
#: So many words in a row that are also in the instructions are no accident.
_RUN = 8
#: The same in letters, where all between them is gone.
_LETTERS = 32
#: Every so many letters a stretch of an answer is looked up: of 40 letters that are the instructions', one is met.
_STEP = 8


@dataclass(frozen=True, slots=True)
class Run:
    """A stretch that is also in the instructions."""

    span: Span
    view: str
    letters: str
    """What it reads as, without anything between its letters."""


class InstructionSearch:
    """Looks for the instructions' own words. Said in other words they are not found."""

    def __init__(self, instructions: Sequence[str]) -> None:
        self._runs = frozenset(run for text in instructions for run, _, _ in _word_runs(folding.fold(text)))
        squeezed = [skeleton(text) for text in instructions]
        self._stretches = frozenset(
            text[at : at + _LETTERS] for text in squeezed for at in range(len(text) - _LETTERS + 1)
        )

    def search(self, text: Text) -> Iterator[Run]:
        """The places, by the plainest reading that shows any."""
        if not self._runs:
            return
        for view in text.views:
            found = [
                Run(view.source(start, end), view.name, skeleton(view.text[start:end]))
                for run, start, end in _word_runs(view.text)
                if run in self._runs
            ]
            yield from found
            if found:
                return
        yield from self._spelled_out(text.text)

    def _spelled_out(self, text: str) -> Iterator[Run]:
        squeezed = Squeezed(text)
        # Views by a cipher are made only of texts that hold words of attacks, and instructions need hold none.
        readings = {
            "squeezed": squeezed.text,
            ROT13: codecs.encode(squeezed.text, "rot13"),
            REVERSED: squeezed.text[::-1],
        }
        for view, letters in readings.items():
            for at in range(0, len(letters) - _LETTERS + 1, _STEP):
                stretch = letters[at : at + _LETTERS]
                if stretch in self._stretches:
                    start = len(letters) - at - _LETTERS if view == REVERSED else at
                    yield Run(squeezed.span(start, start + _LETTERS), view, stretch)


def _word_runs(folded: str) -> Iterator[tuple[tuple[str, ...], int, int]]:
    words = list(_WORD.finditer(folded))
    for index in range(len(words) - _RUN + 1):
        run = words[index : index + _RUN]
        yield tuple(word[0] for word in run), run[0].start(), run[-1].end()
