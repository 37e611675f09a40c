"""Results in OpenAI's words: completions, chunks, citations as annotations. Pure."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sluice_gateway.domain.answer import Citation
from sluice_gateway.domain.model import Decision, Verdict
from sluice_gateway.domain.outcome import AnswerChoice, Flag, RunResult
from sluice_gateway.domain.pieces import Logprob
from sluice_gateway.domain.run import RunState
from sluice_gateway.domain.tools import ToolCall

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Shape:
    """How a request wants its answer."""

    model: str
    created: int
    choices: int = 1
    logprobs: bool = False
    functions: bool = False
    """Calls in the form that OpenAI had before there were tools."""


def completion(result: RunResult, shape: Shape) -> Json:
    """A whole `chat.completion`."""
    return {
        "id": completion_id(result.run_id),
        "object": "chat.completion",
        "created": shape.created,
        "model": shape.model,
        "choices": [
            {
                "index": index,
                "message": _message(choice, shape, refused=result.refused),
                "logprobs": logprobs(choice.logprobs) if shape.logprobs else None,
                "finish_reason": finish_reason(choice.finish_reason, shape),
            }
            for index, choice in enumerate(result.choices)
        ],
        "usage": usage(result),
        "system_fingerprint": result.system_fingerprint or None,
        "sluice": extension(result),
    }


def finish_reason(reason: str, shape: Shape) -> str:
    """Why an answer ended, in the words of the form that was asked for."""
    return "function_call" if shape.functions and reason == "tool_calls" else reason


def _message(choice: AnswerChoice, shape: Shape, *, refused: bool) -> Json:
    message: Json = {"role": "assistant", "content": choice.text, "refusal": None}
    if refused:
        message["content"], message["refusal"] = None, choice.text
    if choice.citations:
        message["annotations"] = annotations(choice.citations)
    if not choice.tool_calls:
        return message
    message["content"] = choice.text or None
    if shape.functions:
        message["function_call"] = _function(choice.tool_calls[0])
    else:
        message["tool_calls"] = [
            {"id": call.id, "type": "function", "function": _function(call)} for call in choice.tool_calls
        ]
    return message


def _function(call: ToolCall) -> Json:
    return {"name": call.name, "arguments": call.arguments}


def logprobs(tokens: Sequence[Logprob]) -> Json | None:
    """Log probabilities of tokens; null where there are none."""
    if not tokens:
        return None
    content = [
        {**_logprob(token), "top_logprobs": [_logprob(other) for other in token.top]} for token in tokens
    ]
    return {"content": content, "refusal": None}


def _logprob(token: Logprob) -> Json:
    raw = None if token.raw is None else list(token.raw)
    return {"token": token.token, "logprob": token.value, "bytes": raw}


def completion_id(run_id: str) -> str:
    """The completion's id; the run's id with OpenAI's prefix."""
    return f"chatcmpl-{run_id}"


def usage(result: RunResult) -> Json:
    """Tokens read and written."""
    used = result.usage
    return {
        "prompt_tokens": used.prompt_tokens,
        "completion_tokens": used.completion_tokens,
        "total_tokens": used.prompt_tokens + used.completion_tokens,
    }


def annotations(cited: tuple[Citation, ...]) -> list[Json]:
    """Each `[n]` mark as OpenAI's `url_citation`."""
    return [
        {
            "type": "url_citation",
            "url_citation": {
                "start_index": start,
                "end_index": end,
                "title": citation.title or citation.document_id,
                "url": _url(citation),
            },
        }
        for citation in cited
        for start, end in citation.marks
    ]


def extension(result: RunResult) -> Json:
    """What OpenAI has no seat for: the run, its citations, flags, the verdict of the gate that decided."""
    content: Json = {
        "run_id": result.run_id,
        "state": str(result.state),
        "unanswerable": result.unanswerable,
        "citations": [
            {
                "number": citation.number,
                "document_id": citation.document_id,
                "chunk_id": citation.chunk_id,
                "title": citation.title,
                "score": round(citation.score, 6),
                "text": citation.text,
                "metadata": _metadata(citation),
            }
            for citation in result.citations
        ],
        "flags": [_flag(flag) for flag in result.flags],
    }
    if result.cache is not None:
        content["cache"] = {"decision": result.cache.word, **result.cache.detail()}
    if result.arm:
        content["experiment"], content["arm"] = result.experiment, result.arm
    if result.adapter:
        content["adapter"] = result.adapter
    if result.fault:
        content["fault"] = result.fault
    verdict = result.verdict
    if verdict is not None and (result.state is RunState.BLOCKED or verdict.decision is not Decision.ALLOW):
        content["verdict"] = _verdict(verdict)
    return content


def _flag(flag: Flag) -> Json:
    finding = flag.finding
    return {
        "step": flag.step,
        "detector": finding.detector,
        "category": finding.category,
        "score": round(finding.score, 4),
        "threshold": round(finding.threshold, 4),
        "decision": str(finding.decision),
        "segment": finding.segment,
        "span": [finding.start, finding.end],
    }


def _verdict(verdict: Verdict) -> Json:
    return {
        "decision": str(verdict.decision),
        "reason": verdict.reason,
        "policy": verdict.policy,
        "policy_version": verdict.policy_version,
        "partial": verdict.partial,
        "findings": [
            {
                "detector": finding.detector,
                "category": finding.category,
                "score": round(finding.score, 4),
                "threshold": round(finding.threshold, 4),
                "decision": str(finding.decision),
                "segment": finding.segment,
                "span": [finding.start, finding.end],
                "view": finding.view,
            }
            for finding in verdict.findings
        ],
    }


def _url(citation: Citation) -> str:
    url = _metadata(citation).get("url")
    return url if isinstance(url, str) else f"sluice://{citation.knowledge_base}/{citation.document_id}"


def _metadata(citation: Citation) -> Json:
    metadata: Json = json.loads(citation.metadata_json or "{}")
    return metadata
