"""What looks for one kind of trouble each. Detectors find; what is made of it is the policy's."""

from typing import Protocol, TypeVar

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
