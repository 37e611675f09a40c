"""Models for worker processes in tests. A passage that is a number is that relevant; other words do what they say."""

import os
import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sluice_reranker.batching.pairs import Pair
from sluice_reranker.domain.model import Question
from sluice_servicekit.errors import FailedPrecondition

#: Kills the process that reads it, as a fault in native code does; has it hang; makes the model fail.
DEADLY, FAILING = "deadly", "failing"


@dataclass(frozen=True)
class Numbers:
    """Its own loader: `Numbers()` travels to the process, and is called there."""

    diary: Path | None = None
    """Where the process writes, a line for each pass, what it has read."""
    gate: Path | None = None
    """Nothing but the first pair is read before this file is there."""
    once: Path | None = None
    """A deadly passage kills only where this file is not there yet, and makes it."""
    loads: bool = True
    seconds: float = 0.0
    """How long a pair takes."""
    name: str = "numbers-1"
    most_tokens: int = 64
    at_once: int = 1

    def __call__(self) -> "Numbers":
        """The model."""
        if not self.loads:
            raise FailedPrecondition("the folder is empty; fill it", reason="RANKER_MISSING")
        return self

    def relevance(self, pairs: Sequence[Pair]) -> list[float]:
        """By the passages' numbers."""
        texts = [pair.text for pair in pairs]
        warming = any(text.startswith("word") for text in texts)
        if self.diary is not None and not warming:
            with self.diary.open("a") as diary:
                diary.write(f"{os.getpid()} {' '.join(texts)}\n")
        while self.gate is not None and not warming and not self.gate.exists():
            time.sleep(0.002)
        time.sleep(0.0 if warming else self.seconds * len(texts))
        for text in texts:
            if text == DEADLY and (self.once is None or not self.once.exists()):
                if self.once is not None:
                    self.once.touch()
                os.kill(os.getpid(), signal.SIGKILL)
            if text == FAILING:
                raise FailedPrecondition("the model gives what is no number", reason="RANKER_UNFIT")
        return [float(text) if text.replace(".", "").isdigit() else 0.0 for text in texts]


def pairs(*texts: str, question: str = "q") -> list[Pair]:
    """A question with each of some passages."""
    asked = Question(question)
    return [Pair(asked, text) for text in texts]
