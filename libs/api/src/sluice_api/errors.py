"""Problems of objects: where, what, and what to do; collected, so that one try shows them all."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, order=True)
class Problem:
    """One thing that is wrong with one object."""

    file: str
    line: int
    """Of the document within the file, from 1; 0 where it is not known."""
    object: str
    """`Kind/name`, or empty where the object cannot be told."""
    field: str
    """The path in wire names, for example `spec.steps.rerank.topK`."""
    message: str

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else self.file
        return ": ".join(part for part in (place, self.object, self.field, self.message) if part)


class ObjectError(ValueError):
    """Objects that cannot be used, with every problem found."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(sorted(problems))
        super().__init__("\n".join(str(problem) for problem in self.problems))


class LoadError(ObjectError):
    """Files that do not hold valid objects."""


class CompileError(ObjectError):
    """Valid objects that do not fit together."""
