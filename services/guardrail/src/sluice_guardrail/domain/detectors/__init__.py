"""What looks for one kind of trouble each. Detectors find; what is made of it is the policy's."""

from collections.abc import Sequence
from typing import Protocol, TypeVar

from sluice_guardrail.domain.classifying.allowance import Allowance
from sluice_guardrail.domain.model import Detection

Subject = TypeVar("Subject", contravariant=True)


class Detector(Protocol[Subject]):
    """One detector: of a `Text`, or of an `Answer`. Thread-safe."""

    @property
    def name(self) -> str:
        """Its name in verdicts."""
        ...

    @property
    def version(self) -> str:
        """Changes whenever it may find something else in the same text."""
        ...

    def detect(self, subject: Subject) -> Detection:
        """All it finds, in time linear in the subject."""
        ...


class TimedDetector(Detector[Subject], Protocol[Subject]):
    """A detector that takes so long that it may have to stop before it has seen everything."""

    def detect_within(self, subjects: Sequence[Subject], allowance: Allowance) -> Sequence[Detection]:
        """What it finds in each subject in the time there is; what it has not seen is `PARTIAL`."""
        ...
