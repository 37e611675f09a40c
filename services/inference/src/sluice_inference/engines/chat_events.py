"""The reply of an OpenAI-compatible server's chat endpoint, chunk by chunk, as what our caller is told. Pure.

What a model thinks before it answers (`reasoning`, or `reasoning_content` of older servers) is dropped here, with its
log probabilities: no gate is made for it. Its tokens are counted.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from sluice_inference.domain.model import Delta, Finish, FinishReason, Logprob, Usage
from sluice_inference.domain.tools import ToolCallDelta

Json = dict[str, Any]

_REASONS = {
    "stop": FinishReason.STOP,
    "length": FinishReason.LENGTH,
    "content_filter": FinishReason.CONTENT_FILTER,
    "tool_calls": FinishReason.TOOL_CALLS,
    "function_call": FinishReason.TOOL_CALLS,
}


class Reply:
    """One reply.

    Args:
        choices: How many answers were asked for.
        prompt_tokens: What the prompt may have, for as long as the server does not say.
    """

    def __init__(self, choices: int, prompt_tokens: int) -> None:
        self._choices = choices
        self._usage = Usage(prompt_tokens, 0, estimated=True)
        self._written: dict[int, int] = {}
        self._reasons: dict[int, FinishReason] = {}
        self.model = ""
        self.system_fingerprint = ""

    def take(self, chunk: Json) -> Iterator[Delta]:
        """What a chunk brings; a delta that has only `usage` where it brings nothing that may leave."""
        self.model = chunk.get("model") or self.model
        self.system_fingerprint = chunk.get("system_fingerprint") or self.system_fingerprint
        choices, told = chunk.get("choices") or (), chunk.get("usage")
        if told:
            self._tell(told, choices)
        for choice in choices:
            index, delta = choice.get("index") or 0, choice.get("delta") or {}
            reason = _reason(choice.get("finish_reason"))
            if reason is not None:
                self._reasons[index] = reason
            text = delta.get("content") or delta.get("refusal") or ""
            calls = delta.get("tool_calls")
            unseen = calls or delta.get("reasoning") or delta.get("reasoning_content")
            if self._usage.estimated and (text or unseen):  # a piece is a token at least
                read, written = self._usage.prompt_tokens, self._usage.completion_tokens
                self._usage = Usage(read, written + 1, estimated=True)
            # Those of tokens that leave with no text, or not at all, would give them away.
            logprobs = None if unseen else choice.get("logprobs")
            if text or unseen or logprobs or index:
                yield Delta(
                    text,
                    index,
                    _calls(calls) if calls else (),
                    _logprobs(logprobs) if logprobs else (),
                    reason if index else None,
                    self._usage,
                )

    @property
    def finish(self) -> Finish | None:
        """The end; None where the reply broke off before."""
        if len(self._reasons) < self._choices:
            return None
        return Finish(
            self._reasons.get(0, FinishReason.STOP),
            self.model,
            self._usage.prompt_tokens,
            self._usage.completion_tokens,
            estimated=self._usage.estimated,
            system_fingerprint=self.system_fingerprint,
        )

    def _tell(self, told: Json, choices: Sequence[Json]) -> None:
        written = int(told.get("completion_tokens") or 0)
        if choices:  # vLLM then counts that answer's alone
            self._written[choices[0].get("index") or 0] = written
            written = sum(self._written.values())
        self._usage = Usage(int(told.get("prompt_tokens") or 0), written)


def _reason(named: str | None) -> FinishReason | None:
    return _REASONS.get(named, FinishReason.STOP) if named else None


def _calls(calls: list[Json]) -> tuple[ToolCallDelta, ...]:
    deltas = []
    for place, call in enumerate(calls):
        function = call.get("function") or {}
        index = call.get("index")
        deltas.append(
            ToolCallDelta(
                place if index is None else index,
                call.get("id") or "",
                function.get("name") or "",
                function.get("arguments") or "",
            )
        )
    return tuple(deltas)


def _logprobs(logprobs: Json) -> tuple[Logprob, ...]:
    return tuple(_logprob(token) for token in logprobs.get("content") or ())


def _logprob(token: Json) -> Logprob:
    raw = token.get("bytes")
    return Logprob(
        str(token.get("token", "")),
        float(token.get("logprob") or 0.0),
        None if raw is None else bytes(raw),
        tuple(_logprob(other) for other in token.get("top_logprobs") or ()),
    )
