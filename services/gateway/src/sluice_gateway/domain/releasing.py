"""In which pieces an answer leaves. Pure."""

from collections import deque
from collections.abc import Iterator, Sequence

from sluice_gateway.domain.outcome import RunResult
from sluice_gateway.domain.pieces import Choice, Delta, Logprob
from sluice_gateway.domain.tools import ToolCall, ToolCallDelta
from sluice_gateway.domain.written import spelled


def pieces(result: RunResult) -> Iterator[str | Delta]:
    """All of an answer that was withheld to its end; nothing of a refusal, which is no piece of one."""
    if result.refused:
        return
    for index, choice in enumerate(result.choices):
        if choice.logprobs or (index and choice.text):
            yield Delta(choice.text, index, logprobs=choice.logprobs)
        elif choice.text:
            yield choice.text
        yield from calls(choice.tool_calls, index)


def rest(result: RunResult, left: Sequence[Choice]) -> Iterator[str | Delta]:
    """What of an answer has not left while it was written.

    Args:
        left: What has left of each choice; of the calls all or none.
    """
    for index, (choice, before) in enumerate(zip(result.choices, left, strict=True)):
        if more := choice.text[len(before.text) :]:
            yield Delta(more, index) if index else more
        if not before.tool_calls:
            yield from calls(choice.tool_calls, index)


def calls(whole: Sequence[ToolCall], choice: int) -> Iterator[Delta]:
    """Calls of tools as deltas: who is called, then with what."""
    for index, call in enumerate(whole):
        yield Delta(choice=choice, tool_calls=(ToolCallDelta(index, call.id, call.name),))
        yield Delta(choice=choice, tool_calls=(ToolCallDelta(index, arguments=call.arguments),))


class Spelling:
    """Log probabilities that wait until the text of their tokens may leave. What a gate has changed has none, nor has
    what comes after it."""

    def __init__(self) -> None:
        #: What of a piece has not left, the piece, its tokens.
        self._waiting: deque[tuple[str, str, tuple[Logprob, ...]]] = deque()
        self._before: tuple[Logprob, ...] = ()
        self._changed = False

    def hear(self, delta: Delta) -> None:
        """Takes a piece as it was written."""
        logprobs = self._before + delta.logprobs
        if not delta.text:  # some bytes of a character
            self._before = logprobs
            return
        self._before = ()
        self._waiting.append((delta.text, delta.text, logprobs))

    def leave(self, text: str) -> Iterator[str | Delta]:
        """The text that leaves, with the log probabilities of the pieces that end in it."""
        while text and self._waiting and not self._changed:
            waits, piece, logprobs = self._waiting[0]
            if text.startswith(waits):
                self._waiting.popleft()
                yield Delta(waits, logprobs=spelled(piece, logprobs))
                text = text[len(waits) :]
            elif waits.startswith(text):
                self._waiting[0] = (waits[len(text) :], piece, logprobs)
                break
            else:
                self._changed = True
        if text:
            yield text
