"""Records an execution of a durable run, which may not be its first."""

from collections.abc import Sequence
from dataclasses import dataclass

from sluice_gateway.domain.recording import Detail, Recorder
from sluice_gateway.domain.run import Event, EventKind, RunState, fold


@dataclass(frozen=True, slots=True)
class StandardRecorder(Recorder):
    """One start and one end for each run, however often it is executed."""

    before: Sequence[Event] = ()
    """What the journal had of the run when this execution began."""

    @property
    def has_ended(self) -> bool:
        """The journal has the run's end already: only what comes after it was lost."""
        return bool(self.before) and fold(self.before).ended is not None

    def run_started(self, question: str, detail: Detail) -> None:
        """Records the start, or that the run goes on where nothing says so yet."""
        if not self.before:
            Recorder.run_started(self, question, detail)
        elif not self.has_ended and self.before[-1].kind is not EventKind.RUN_RESUMED:
            self.run_resumed({"because": "RECOVERED"})

    def run_ended(
        self, state: RunState, reason: str = "", text: str = "", detail: Detail | None = None
    ) -> None:
        """Records the end, once."""
        if not self.has_ended:
            Recorder.run_ended(self, state, reason, text, detail)
