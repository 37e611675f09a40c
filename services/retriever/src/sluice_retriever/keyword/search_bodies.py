"""What is said to a search server and what its replies mean; the part of the API that Elasticsearch and OpenSearch
document alike."""

import base64
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sluice_api.objects.knowledge_base import Language
from sluice_retriever.keyword import languages
from sluice_retriever.keyword.question import Question
from sluice_retriever.keyword.store import Entry, Hits
from sluice_servicekit.errors import FailedPrecondition, ServiceError, Unavailable

Json = dict[str, Any]

TENANT, WRITE, DOCUMENT, TEXT = "tenant", "write", "document", "text"
_ANALYZER = "sluice"

_TYPES = {TENANT: "keyword", WRITE: "keyword", DOCUMENT: "keyword", TEXT: "text"}

#: Buckets of one page of an aggregation.
PAGE = 1000

#: HTTP statuses after which the same request may succeed.
_PASSING = frozenset({408, 429, 500, 502, 503, 504})


def index(language: Language) -> Json:
    """A new index; how many shards and replicas it has is the server's or an index template's to say."""
    properties: Json = {name: {"type": kind} for name, kind in _TYPES.items()}
    properties[TEXT]["analyzer"] = _ANALYZER
    return {
        "settings": {"analysis": languages.server_analysis(language, _ANALYZER)},
        "mappings": {"dynamic": False, "properties": properties},
    }


def unfit(reply: Json, language: Language) -> str:
    """Why an index that is there cannot be used, from the reply about it; empty where it can. One that was made with
    an analyzer of its own, under another name than ours, is taken as it is."""
    (described,) = reply.values()
    properties = described.get("mappings", {}).get("properties", {})
    for name, kind in _TYPES.items():
        found = properties.get(name, {}).get("type", "missing")
        if found != kind:
            return f"its field {name!r} is {found} and not {kind}"
    analysis = described.get("settings", {}).get("index", {}).get("analysis", {})
    ours = languages.server_analysis(language, _ANALYZER)
    if properties[TEXT].get("analyzer") == _ANALYZER and _plain(analysis) != _plain(ours):
        return "it was made for another language"
    return ""


def search(tenant: str, question: Question, limit: int, seconds: float | None) -> Json:
    """A search; `seconds` has the server stop looking, so that it does not work for nobody."""
    # `match` takes text as text: of all queries for people's words, it alone has no syntax.
    phrases = [{"match_phrase": {TEXT: phrase}} for phrase in question.phrases]
    body: Json = {
        "size": limit,
        "_source": False,
        "track_total_hits": False,
        "query": {
            "bool": {
                "filter": [{"term": {TENANT: tenant}}, *phrases],
                "must": [{"match": {TEXT: question.words}}],
            }
        },
    }
    if seconds is not None:
        body["timeout"] = f"{max(1, int(seconds * 1000))}ms"
    return body


def hits(reply: Json) -> Hits:
    """The hits of a search."""
    return [(hit["_id"], float(hit["_score"])) for hit in reply["hits"]["hits"]]


def of_writes(tenant: str, write_ids: Sequence[str]) -> Json:
    """The entries of writes, as a query."""
    filters = [{"term": {TENANT: tenant}}, {"terms": {WRITE: list(write_ids)}}]
    return {"query": {"bool": {"filter": filters}}}


def of_tenant(tenant: str) -> Json:
    """The entries of a tenant, as a query."""
    return {"query": {"bool": {"filter": [{"term": {TENANT: tenant}}]}}}


def page(field: str, tenant: str | None, after: str | None) -> Json:
    """A page of a field's values with how many entries each has; of one tenant, or of all."""
    composite: Json = {"size": PAGE, "sources": [{field: {"terms": {"field": field}}}]}
    if after is not None:
        composite["after"] = {field: after}
    body: Json = {"size": 0, "track_total_hits": False, "aggs": {"values": {"composite": composite}}}
    return body if tenant is None else {**body, **of_tenant(tenant)}


def values(reply: Json, field: str) -> dict[str, int]:
    """The values of a page."""
    buckets = reply["aggregations"]["values"]["buckets"]
    return {bucket["key"][field]: bucket["doc_count"] for bucket in buckets}


def bulk(entries: Iterable[Entry]) -> bytes:
    """Entries as lines for `_bulk`."""
    lines: list[Json] = []
    for entry in entries:
        lines.append({"index": {"_id": entry.point_id, "routing": entry.tenant}})
        text = f"{entry.title}\n{entry.text}"
        fields = {TENANT: entry.tenant, WRITE: entry.write_id, DOCUMENT: entry.document_id, TEXT: text}
        lines.append(fields)
    return b"".join(json.dumps(line).encode() + b"\n" for line in lines)


def unwritten(reply: Json, entries: Sequence[Entry]) -> list[Entry]:
    """Those of the entries that the server had no room for now.

    Raises:
        FailedPrecondition: the server will not take one however often it is sent.
    """
    again: list[Entry] = []
    for item, entry in zip(reply["items"], entries, strict=True):
        result = item["index"]
        if result["status"] in _PASSING:
            again.append(entry)
        elif result["status"] >= 300:
            raise FailedPrecondition(
                f"the search server refuses a chunk of document {entry.document_id!r}: {message(result)}",
                reason="KEYWORD_STORE_REFUSED",
            )
    return again


def authorization(secret: str) -> dict[str, str]:
    """The header for a secret: `user:password`, or an API key as Elasticsearch encodes it, without a colon."""
    if not secret:
        return {}
    if ":" in secret:
        return {"authorization": f"Basic {base64.b64encode(secret.encode()).decode()}"}
    return {"authorization": f"ApiKey {secret}"}


def failure(status: int, body: bytes, secret_named: str) -> ServiceError:
    """The error for a reply that is no success; `secret_named` is what `apiKeySecret` says."""
    try:
        said = f"the search server says ({status}): {message(json.loads(body))}"
    except ValueError:
        said = f"the search server says ({status}): {body[:200].decode(errors='replace').strip()}"
    if status in (401, 403):
        remedy = f"check the secret {secret_named!r}" if secret_named else "set apiKeySecret"
        return FailedPrecondition(f"{said}; {remedy}", reason="KEYWORD_STORE_AUTH")
    if status in _PASSING:
        return Unavailable(said, reason="KEYWORD_STORE_FAILED")
    return FailedPrecondition(said, reason="KEYWORD_STORE_REFUSED")


def message(body: Any) -> str:
    """The reason in an error's body, whose `error` is an object or text."""
    error = body.get("error", body) if isinstance(body, Mapping) else body
    return str(error.get("reason", error) if isinstance(error, Mapping) else error)[:500]


def _plain(value: Any) -> Any:
    """Settings as the server repeats them: text all through, without what is empty."""
    if isinstance(value, Mapping):
        return {key: _plain(part) for key, part in value.items() if part not in ({}, None)}
    if isinstance(value, list):
        return [_plain(part) for part in value]
    return str(value).lower()
