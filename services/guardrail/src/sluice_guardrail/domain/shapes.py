"""Which messages a stream may bring, and in what order. What is not known is refused: it could not be screened."""

from dataclasses import dataclass

from sluice_servicekit.errors import InvalidArgument


@dataclass(frozen=True, slots=True)
class Shape:
    """What a message of a stream carries."""

    start: bool
    delta: bool
    final: bool


class Shapes:
    """One stream: a start, then text, then an end. The parts may come in one message."""

    def __init__(self) -> None:
        self._started = False
        self._ended = False

    def accept(self, shape: Shape) -> None:
        """Takes the next message.

        Raises:
            InvalidArgument: it may not come here.
        """
        if self._ended:
            raise _refused("nothing may follow the message with `final` set", "STREAM_AFTER_FINAL", "final")
        if shape.start and self._started:
            raise _refused("`start` came twice", "STREAM_STARTED_TWICE", "start")
        if not shape.start and not self._started:
            raise _refused("the first message must carry `start`", "STREAM_NOT_STARTED", "start")
        if not (shape.start or shape.delta or shape.final):
            raise _refused("a message carries neither `delta` nor `final`", "STREAM_EMPTY_MESSAGE", "delta")
        self._started, self._ended = True, shape.final

    def end(self) -> None:
        """The stream has ended.

        Raises:
            InvalidArgument: more was to come.
        """
        if not self._ended:
            raise _refused(
                "the stream ended without a message with `final` set", "STREAM_UNFINISHED", "final"
            )


def _refused(message: str, reason: str, field: str) -> InvalidArgument:
    return InvalidArgument(message, reason=reason, field=field)
