"""Replies of the completions endpoint, whole or frame by frame, as vLLM 0.32 gives them."""

import time
from collections.abc import Iterator

from doubles.vllm.chat import Frame, Usage, identifier
from doubles.vllm.writing import Json, Written


class Chunks:
    """The chunks of one streamed reply."""

    def __init__(self, body: Json, written: Written, usage: Usage, fingerprint: str) -> None:
        self._written = written
        self._usage = usage
        options = body.get("stream_options") or {}
        self._continuous = options.get("continuous_usage_stats", False)
        self._include_usage = options.get("include_usage", False)
        self._fingerprint = fingerprint
        self._base = {
            "id": identifier("cmpl"),
            "object": "text_completion",
            "created": int(time.time()),
            "model": body["model"],
        }

    def __iter__(self) -> Iterator[Frame]:
        answers, reason = self._written.answers, self._written.finish_reason
        for place in range(max(map(len, answers))):
            for index, pieces in enumerate(answers):
                if place < len(pieces):
                    ends = place == len(pieces) - 1
                    yield self._frame(index, pieces[place], reason if ends else None, place)
        if self._include_usage:
            end = {"choices": [], "usage": self._usage.json(), "system_fingerprint": self._fingerprint}
            yield Frame({**self._base, **end})

    def _frame(self, index: int, text: str, finish: str | None, place: int) -> Frame:
        self._usage.written[index] = place + 1
        choice = {
            "index": index,
            "text": text,
            "logprobs": None,
            "finish_reason": finish,
            "stop_reason": None,
            "prompt_token_ids": None,
            "token_ids": None,
        }
        chunk: Json = {**self._base, "choices": [choice]}
        if finish and not self._include_usage:
            chunk["system_fingerprint"] = self._fingerprint
        if self._continuous:
            chunk["usage"] = self._usage.json(place + 1)
        return Frame(chunk, place, is_token=True)


def whole(body: Json, written: Written, usage: Usage, fingerprint: str) -> Json:
    """The reply where it is not streamed."""
    choices = []
    for index, pieces in enumerate(written.answers):
        usage.written[index] = len(pieces)
        choices.append(
            {
                "index": index,
                "text": "".join(pieces),
                "logprobs": None,
                "finish_reason": written.finish_reason,
                "stop_reason": None,
                "token_ids": None,
                "prompt_logprobs": None,
                "prompt_token_ids": None,
                "routed_experts": None,
            }
        )
    details: Json = {"prompt_tokens_details": None} if usage.cached is None else {}
    return {
        "id": identifier("cmpl"),
        "object": "text_completion",
        "created": int(time.time()),
        "model": body["model"],
        "choices": choices,
        "service_tier": None,
        "system_fingerprint": fingerprint,
        "usage": usage.json(**details, completion_tokens_details=None),
        "kv_transfer_params": None,
        "ec_transfer_params": None,
        "metrics": None,
    }
