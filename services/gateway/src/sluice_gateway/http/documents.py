"""Documents between JSON and the retriever's messages. Converts only."""

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from google.protobuf.timestamp_pb2 import Timestamp
from pydantic import Field, TypeAdapter, ValidationError, model_validator

from sluice.gateway.v1 import gateway_pb2
from sluice.guardrail.v1 import guardrail_pb2
from sluice.retriever.v1 import retriever_pb2
from sluice_api.media_types import MAX_CONTENT_BYTES
from sluice_api.objects.base import Duration
from sluice_gateway.http.bodies import RequestModel
from sluice_gateway.http.expiry import expire_time, written
from sluice_servicekit.errors import InvalidArgument

Json = dict[str, Any]

#: What clients send that do not know the kind; the retriever finds it out.
_UNKNOWN_TYPES = frozenset({"", "application/octet-stream", "application/x-www-form-urlencoded"})

_TTL: TypeAdapter[float] = TypeAdapter(Duration)

_WORDS = {
    retriever_pb2.INGEST_OUTCOME_STORED: "stored",
    retriever_pb2.INGEST_OUTCOME_UNCHANGED: "unchanged",
    retriever_pb2.INGEST_OUTCOME_REFUSED: "refused",
    retriever_pb2.INGEST_OUTCOME_IN_PROGRESS: "in_progress",
}


class DocumentBody(RequestModel):
    """One document: `text`, or `content` for a file as it is, in base64, or `url` for where to fetch it."""

    id: str = ""
    """The url where that is given instead."""
    text: str = ""
    content: str = ""
    url: str = ""
    title: str = ""
    metadata: dict[str, Any] = Field(default={})
    media_type: str = ""
    acl: list[str] = Field(default=[])
    expire_time: str = ""
    """RFC 3339."""
    ttl: Duration | None = None
    """In place of `expire_time`, counted from now."""

    @model_validator(mode="after")
    def _named(self) -> Self:
        if not (self.id or self.url):
            raise ValueError("id is missing; only a url can stand for it")
        return self


@dataclass
class Ingestion:
    """Totals of an ingestion."""

    accepted: int = 0
    unchanged: int = 0
    failed: list[dict[str, str]] = field(default_factory=list)
    flags: list[Json] = field(default_factory=list)
    unscreened: list[dict[str, str]] = field(default_factory=list)

    def note(self, response: gateway_pb2.IngestResponse) -> None:
        """Counts what became of a document."""
        result = response.result
        self.flags += ({"id": result.document_id, **_flag(flag)} for flag in response.flags)
        if response.unscreened:
            self.unscreened.append({"id": result.document_id, "reason": response.unscreened})
        match result.outcome:
            case retriever_pb2.INGEST_OUTCOME_REFUSED:
                self.failed.append({"id": result.document_id, "reason": result.reason})
            case retriever_pb2.INGEST_OUTCOME_STORED:
                self.accepted += 1
            case retriever_pb2.INGEST_OUTCOME_UNCHANGED:
                self.accepted += 1
                self.unchanged += 1

    def totals(self) -> Json:
        """The reply: what was accepted, unchanged ones included, and what was not; and where there is any, what
        policies flag in it and what they have not seen."""
        totals: Json = {"accepted": self.accepted, "failed": self.failed}
        if self.flags:
            totals["flags"] = self.flags
        if self.unscreened:
            totals["unscreened"] = self.unscreened
        return totals


def outcome(response: gateway_pb2.IngestResponse) -> Json:
    """What became of one document."""
    result = response.result
    described: Json = {"id": result.document_id, "outcome": _WORDS[result.outcome]}
    if result.reason:
        described["reason"] = result.reason
    else:
        described["chunks"] = result.chunks
    if result.total_chunks:
        described["total_chunks"] = result.total_chunks
    if response.flags:
        described["flags"] = [_flag(flag) for flag in response.flags]
    if response.unscreened:
        described["unscreened"] = response.unscreened
    return described


def _flag(flag: gateway_pb2.DocumentFlag) -> Json:
    return {
        "chunk_id": flag.chunk_id,
        "policy": flag.policy,
        "detector": flag.detector,
        "category": flag.category,
        "score": round(flag.score, 4),
        "decision": guardrail_pb2.Decision.Name(flag.decision).removeprefix("DECISION_").lower(),
        "span": [flag.span.start, flag.span.end] if flag.HasField("span") else None,
    }


def document_of(entry: object, now: float) -> retriever_pb2.Document | retriever_pb2.IngestResponse:
    """The document, or its refusal where it is none; `now` is in epoch seconds."""
    try:
        body = DocumentBody.model_validate(entry)
        content = base64.b64decode(body.content, validate=True)
    except ValidationError as error:
        return _refused(entry, _first(error))
    except ValueError:  # also where it is no ASCII
        return _refused(entry, "content: not base64")
    if max(len(content), len(body.text)) > MAX_CONTENT_BYTES:
        return _refused(entry, f"larger than {MAX_CONTENT_BYTES >> 20} MiB; split the document")
    try:
        return retriever_pb2.Document(
            id=body.id,
            text=body.text,
            content=content,
            url=body.url,
            title=body.title,
            metadata_json=json.dumps(body.metadata, ensure_ascii=False, allow_nan=False),
            media_type=body.media_type,
            acl=body.acl,
            expire_time=expire_time(body.expire_time, body.ttl, now),
        )
    except RecursionError:
        return _refused(entry, "metadata: nested too deeply")
    except ValueError as error:  # a lone surrogate, a number that JSON does not know
        return _refused(entry, f"cannot be stored: {error}")


def listed(found: retriever_pb2.DocumentSummary) -> dict[str, Any]:
    """A stored document."""
    described: dict[str, Any] = {"id": found.document_id, "chunks": found.chunks}
    if found.HasField("expire_time"):
        described["expire_time"] = written(found.expire_time)
    return described


def uploaded(
    document_id: str, content: bytes, content_type: str, parameters: Mapping[str, str], now: float
) -> retriever_pb2.Document:
    """A file as it came in a request's body; `title`, `acl` (names parted by commas), `expire_time` and `ttl` come as
    parameters. `now` is in epoch seconds.

    Raises:
        InvalidArgument: the body is empty or too large, or a parameter is wrong.
    """
    if not content:
        raise InvalidArgument("the body is empty; send the file as the body")
    if len(content) > MAX_CONTENT_BYTES:
        raise InvalidArgument(f"the file is larger than {MAX_CONTENT_BYTES >> 20} MiB; split it")
    media_type = content_type.partition(";")[0].strip().lower()
    return retriever_pb2.Document(
        id=document_id,
        content=content,
        title=parameters.get("title", ""),
        media_type="" if media_type in _UNKNOWN_TYPES else media_type,
        acl=[name for name in parameters.get("acl", "").split(",") if name],
        expire_time=_expire_time(parameters, now),
    )


def _expire_time(parameters: Mapping[str, str], now: float) -> Timestamp | None:
    try:
        ttl = _TTL.validate_python(parameters["ttl"]) if "ttl" in parameters else None
    except ValidationError as error:
        raise InvalidArgument(_first(error), field="ttl") from None
    try:
        return expire_time(parameters.get("expire_time", ""), ttl, now)
    except ValueError as error:
        raise InvalidArgument(str(error), field="expire_time") from None


def _refused(entry: object, reason: str) -> retriever_pb2.IngestResponse:
    found = (entry.get("id") or entry.get("url")) if isinstance(entry, dict) else None
    name = found.encode(errors="replace").decode() if isinstance(found, str) else ""
    return retriever_pb2.IngestResponse(
        document_id=name, outcome=retriever_pb2.INGEST_OUTCOME_REFUSED, reason=reason
    )


def _first(error: ValidationError) -> str:
    detail = error.errors(include_url=False, include_input=False)[0]
    where = ".".join(str(part) for part in detail["loc"])
    words = str(detail["msg"]).removeprefix("Value error, ")
    return f"{where}: {words}" if where else words
