"""Errors that end a command."""

from sluice_cli import exits


class CommandError(Exception):
    """What went wrong, what to do about it, and the exit code.

    Args:
        passing: Whether the same may work in a moment.
    """

    def __init__(
        self, message: str, hint: str = "", code: int = exits.FAILED, *, passing: bool = False
    ) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.code = code
        self.passing = passing


def usage(message: str, hint: str = "") -> CommandError:
    """What was given is wrong."""
    return CommandError(message, hint, exits.USAGE)
