"""The extractive engine's choice: which sentences of the passages answer a question. Deterministic."""

from collections.abc import Sequence
from dataclasses import dataclass

from sluice_inference.domain.model import Passage
from sluice_inference.domain.quoting import asked, sentences
from sluice_inference.domain.quoting.selecting import select
from sluice_inference.domain.quoting.weighing import Weighing

#: Below this evidence the passages are taken not to answer.
ENOUGH = 0.5


@dataclass(frozen=True, slots=True)
class Quote:
    """A sentence to quote."""

    text: str
    number: int
    """Of its passage, from 1."""
    start: int
    end: int
    """Half-open range of code points in the passage."""


def choose(question: str, passages: Sequence[Passage], max_sentences: int) -> list[Quote]:
    """The sentences to quote, those of the best passage first, in reading order; none where too little speaks
    for an answer."""
    weighing = _weighing(question, passages)
    weighed = weighing.sentences()
    if weighing.evidence(weighed) < ENOUGH:
        return []
    chosen = select(weighed, weighing.parts(), max_sentences)
    return [Quote(each.text, each.passage + 1, each.start, each.end) for each in chosen]


def evidence(question: str, passages: Sequence[Passage]) -> float:
    """How much speaks for it that the passages answer, 0 to 1."""
    weighing = _weighing(question, passages)
    return weighing.evidence(weighing.sentences())


def _weighing(question: str, passages: Sequence[Passage]) -> Weighing:
    return Weighing(asked.read(question), passages, sentences.read(passages))
