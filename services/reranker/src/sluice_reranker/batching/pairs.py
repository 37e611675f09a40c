"""What is read: a question with a passage. And what reads it, in a process of its own."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from sluice_reranker.domain.model import Question

#: Characters of a token, about: what a pair costs is guessed before anything has cut it into tokens.
_CHARACTERS = 4
#: Tokens around question and passage.
_SPECIAL = 3


@dataclass(frozen=True, slots=True)
class Pair:
    """A question and a passage."""

    question: Question
    text: str

    def tokens(self, most: int) -> int:
        """About how many tokens are read, `most` at most."""
        return min(most, (len(self.question.text) + len(self.text)) // _CHARACTERS + _SPECIAL)


class PairModel(Protocol):
    """A model that reads pairs."""

    @property
    def name(self) -> str:
        """Of another name whenever it may score otherwise."""
        ...

    @property
    def most_tokens(self) -> int:
        """What it reads of a pair; the rest is cut off."""
        ...

    @property
    def at_once(self) -> int:
        """Pairs in one pass; 1 where several take no less time than each of them alone."""
        ...

    def relevance(self, pairs: Sequence[Pair]) -> list[float]:
        """How well each passage answers, 0 to 1; `at_once` pairs at most.

        Raises:
            FailedPrecondition: the model gives something else.
        """
        ...


#: Loads a model, in the process that is to read with it; travels there pickled.
Load = Callable[[], PairModel]
