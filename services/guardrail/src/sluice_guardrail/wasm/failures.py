"""What goes wrong with modules: a call that gave no answer, and a module that may not serve."""

from enum import StrEnum

from sluice_servicekit.errors import FailedPrecondition


class Failure(StrEnum):
    """Why a call gave no answer that counts; a word for metrics."""

    TRAP = "trap"
    """The module did what WebAssembly forbids, or reached what it calls unreachable."""
    LATE = "late"
    """Time ran out."""
    EXIT = "exit"
    """A command ended with another code than 0."""
    OUTPUT = "output"
    """The answer is not where it says, too large, or not of the schema."""
    MEMORY = "memory"
    """It had no room for what it was asked."""


class PolicyFailed(Exception):
    """A call gave no answer that counts. The message never holds anything that the module wrote or read."""

    def __init__(self, failure: Failure, message: str) -> None:
        super().__init__(message)
        self.failure = failure


class ModuleRefused(FailedPrecondition):
    """A module that is not there, or may not serve. The message says which and why."""

    default_reason = "MODULE_REFUSED"
