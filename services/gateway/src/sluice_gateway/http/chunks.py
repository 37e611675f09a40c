"""A streamed answer as OpenAI's `chat.completion.chunk` frames. Pure."""

import re
from collections.abc import Iterator, Sequence

from sluice_gateway.domain.outcome import AnswerChoice, RunResult
from sluice_gateway.domain.pieces import Delta
from sluice_gateway.domain.run import RunState
from sluice_gateway.domain.tools import ToolCallDelta
from sluice_gateway.http import completions, sse
from sluice_gateway.http.completions import Json, Shape

#: Words in one chunk of text that was withheld until now.
_PIECES = re.compile(r"\s*\S+(?:\s+\S+){0,3}|\s+")


class Chunks:
    """The frames of one answer.

    Args:
        include_usage: The last frame tells the usage, and all others that they do not.
    """

    def __init__(self, run_id: str, shape: Shape, *, include_usage: bool) -> None:
        self._shape = shape
        self._include_usage = include_usage
        self._base: Json = {
            "id": completions.completion_id(run_id),
            "object": "chat.completion.chunk",
            "created": shape.created,
            "model": shape.model,
        }
        if include_usage:
            self._base["usage"] = None

    def opening(self) -> Iterator[bytes]:
        """Who speaks, for each choice."""
        for index in range(self._shape.choices):
            yield self._chunk({"role": "assistant", "content": ""}, index)

    def piece(self, event: str | Delta) -> Iterator[bytes]:
        """What is released."""
        if isinstance(event, str):
            for words in _PIECES.findall(event):
                yield self._chunk({"content": words})
            return
        if event.logprobs:
            tokens = completions.logprobs(event.logprobs)
            yield self._chunk({"content": event.text}, event.choice, logprobs=tokens)
        elif event.text:
            for words in _PIECES.findall(event.text):
                yield self._chunk({"content": words}, event.choice)
        if event.tool_calls:
            yield self._chunk(self._calls(event.tool_calls), event.choice)

    def ending(self, result: RunResult) -> Iterator[bytes]:
        """Why each choice has ended, and with the first of them what OpenAI has no seat for."""
        if result.refused:
            yield self._chunk({"refusal": result.text})
        for index, choice in enumerate(result.choices):
            if result.state is RunState.BLOCKED and choice.text:
                yield self._chunk({"content": choice.text}, index)
            extra: Json = {} if index else {"sluice": completions.extension(result)}
            if result.system_fingerprint:
                extra["system_fingerprint"] = result.system_fingerprint
            reason = completions.finish_reason(choice.finish_reason, self._shape)
            yield self._chunk(_last(choice), index, reason, **extra)
        if self._include_usage:
            yield sse.frame({**self._base, "choices": [], "usage": completions.usage(result)})

    def _chunk(
        self,
        delta: Json,
        index: int = 0,
        finish_reason: str | None = None,
        *,
        logprobs: Json | None = None,
        **extra: object,
    ) -> bytes:
        choice = {"index": index, "delta": delta, "logprobs": logprobs, "finish_reason": finish_reason}
        return sse.frame({**self._base, "choices": [choice], **extra})

    def _calls(self, pieces: Sequence[ToolCallDelta]) -> Json:
        if self._shape.functions:
            return {"content": None, "function_call": _function(pieces[0])}
        return {"content": None, "tool_calls": [_call(piece) for piece in pieces]}


def _call(piece: ToolCallDelta) -> Json:
    """The first piece of a call says what it is, the others only go on."""
    function = {"index": piece.index, "function": _function(piece)}
    return {**function, "id": piece.id, "type": "function"} if piece.id else function


def _function(piece: ToolCallDelta) -> Json:
    named = {"name": piece.name} if piece.name else {}
    return {**named, "arguments": piece.arguments}


def _last(choice: AnswerChoice) -> Json:
    return {"annotations": completions.annotations(choice.citations)} if choice.citations else {}
