"""Results in OpenAI's words: completions, chunks, citations as annotations. Pure."""

import json
from typing import Any

from sluice_gateway.domain.answer import Citation
from sluice_gateway.domain.model import Decision, Verdict
from sluice_gateway.domain.outcome import Flag, RunResult
from sluice_gateway.domain.run import RunState

Json = dict[str, Any]


def completion(result: RunResult, model: str, created: int) -> Json:
    """A whole `chat.completion`."""
    message: Json = {"role": "assistant", "content": result.text, "refusal": None}
    if result.citations:
        message["annotations"] = annotations(result.citations)
    return {
        "id": completion_id(result.run_id),
        "object": "chat.completion",
        "created": created,
        "model": model,
        "choices": [
            {"index": 0, "message": message, "logprobs": None, "finish_reason": result.finish_reason}
        ],
        "usage": usage(result),
        "sluice": extension(result),
    }


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
