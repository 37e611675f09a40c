"""What an engine writes, piece by piece, and what the pieces add up to."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from sluice_gateway.domain.model import Finish, Prepared, Writing
from sluice_gateway.domain.pieces import Choice, Delta, Logprob
from sluice_gateway.domain.tools import ToolCall


@dataclass(slots=True)
class _Call:
    id: str = ""
    name: str = ""
    arguments: list[str] = field(default_factory=list)


@dataclass(slots=True)
class _Answer:
    pieces: list[str] = field(default_factory=list)
    calls: dict[int, _Call] = field(default_factory=dict)
    logprobs: list[Logprob] = field(default_factory=list)
    reason: str = "stop"


class Written:
    """Answers in the making."""

    def __init__(self) -> None:
        self._answers: dict[int, _Answer] = {0: _Answer()}
        self._pieces = self._answers[0].pieces
        self._end = Finish("stop")
        self.prepared: Prepared | None = None
        """What the engine has told of itself; None where it reads all."""

    def take(self, event: Writing) -> None:
        """Takes the next event of an engine."""
        if isinstance(event, str):
            self._pieces.append(event)
        elif isinstance(event, Delta):
            self._take(event)
        elif isinstance(event, Prepared):
            self.prepared = event
        elif isinstance(event, Finish):
            self._end = event

    @property
    def text(self) -> str:
        """Of the first answer."""
        return "".join(self._pieces)

    @property
    def finish(self) -> Finish:
        """The end, with all that was written but the first answer's text."""
        answers = [self._answers[index] for index in sorted(self._answers)]
        if len(answers) == 1 and not answers[0].calls and not answers[0].logprobs:
            return self._end
        first, *others = (_choice(answer) for answer in answers)
        return replace(self._end, tool_calls=first.tool_calls, logprobs=first.logprobs, others=tuple(others))

    def _take(self, delta: Delta) -> None:
        answer = self._answers.setdefault(delta.choice, _Answer())
        if delta.text:
            answer.pieces.append(delta.text)
        for piece in delta.tool_calls:
            call = answer.calls.setdefault(piece.index, _Call())
            call.id, call.name = call.id or piece.id, call.name or piece.name
            call.arguments.append(piece.arguments)
        answer.logprobs += delta.logprobs
        answer.reason = delta.finish_reason or answer.reason


def _choice(answer: _Answer) -> Choice:
    calls = tuple(
        ToolCall(call.name, "".join(call.arguments), call.id)
        for call in (answer.calls[index] for index in sorted(answer.calls))
    )
    text = "".join(answer.pieces)
    return Choice(text, answer.reason, calls, spelled(text, answer.logprobs))


def spelled(text: str, logprobs: Sequence[Logprob]) -> tuple[Logprob, ...]:
    """Those of the tokens that spell the text: none of what a parser or a stop text has taken out leaves by its log
    probabilities."""
    kept, place = [], 0
    for logprob in logprobs:
        token = logprob.token.strip(_BROKEN)
        if token and not text.startswith(token, skipped := _skip(text, place)):
            break
        if token:
            place = skipped + len(token)
        elif place >= len(text):
            break
        kept.append(logprob)
    return tuple(kept)


#: What stands for bytes that are no whole character.
_BROKEN = "\N{REPLACEMENT CHARACTER}"


def _skip(text: str, place: int) -> int:
    while text.startswith(_BROKEN, place):
        place += 1
    return place
