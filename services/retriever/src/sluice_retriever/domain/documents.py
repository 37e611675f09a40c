"""What a document must be to be stored, and what names its content."""

import hashlib
import itertools
import json
import math
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import replace

from sluice_api.lifetimes import expires_after
from sluice_api.media_types import MAX_CONTENT_BYTES, MediaType
from sluice_retriever.domain.metadata import Json
from sluice_retriever.domain.model import Chunk, Document

MAX_ID_CHARACTERS = 512
MAX_TITLE_CHARACTERS = 1024
MAX_TEXT_BYTES = 8 << 20
MAX_METADATA_BYTES = 64 << 10
MAX_METADATA_DEPTH = 16
MAX_ACL = 256

#: The year 9999, the end of time for protobuf.
_END_OF_TIME = 253402300799.0

_BINARY = frozenset({MediaType.PDF, MediaType.DOCX})


def refusal(document: Document) -> str:
    """Why a document cannot be stored, as far as can be told without parsing it; empty where it can."""
    if document.refusal:
        return document.refusal
    if not document.id:
        return "id is empty"
    if len(document.id) > MAX_ID_CHARACTERS:
        return f"id is longer than {MAX_ID_CHARACTERS} characters"
    if len(document.title) > MAX_TITLE_CHARACTERS:
        return f"title is longer than {MAX_TITLE_CHARACTERS} characters"
    if len(document.acl) > MAX_ACL:
        return f"acl has more than {MAX_ACL} entries"
    if document.media_type and document.media_type not in {*MediaType}:
        return f"media_type {document.media_type!r} is not one of {', '.join(MediaType)}"
    return _body_refusal(document) or _metadata_refusal(document.metadata_json)


def expiring(document: Document, now: float, expire_after: float | None) -> Document:
    """The document with the time when it stops being found: its own, else its knowledge base's, else never.

    Args:
        document: What is stored now.
        now: Epoch seconds.
        expire_after: Seconds that the knowledge base keeps a document that names no time itself.
    """
    if document.expires is None and expire_after is not None:
        return replace(document, expires=expires_after(now, expire_after))
    if document.expires is None:
        return document
    if document.expires <= now:
        return replace(document, refusal="expire_time is in the past")
    if document.expires > _END_OF_TIME:
        return replace(document, refusal="expire_time is beyond the year 9999")
    return document


def with_url(metadata_json: str, url: str) -> str:
    """Metadata in which `url` says where the document is from, unless it says so itself."""
    try:
        metadata = json.loads(metadata_json)
    except (ValueError, RecursionError):
        return metadata_json  # refused for that
    if not isinstance(metadata, dict) or "url" in metadata:
        return metadata_json
    return json.dumps({**metadata, "url": url}, ensure_ascii=False)


def text_refusal(text: str) -> str:
    """Why a text cannot be stored; empty where it can."""
    if not text.strip():
        return "text is empty"
    if len(text.encode()) > MAX_TEXT_BYTES:
        return f"text is larger than {MAX_TEXT_BYTES >> 20} MiB; split the document"
    return ""


def _body_refusal(document: Document) -> str:
    if document.url:
        return "url is given beside text or content" if document.text or document.content else ""
    if not document.content:
        if document.media_type in _BINARY:
            return f"{document.media_type} is no text; send the file as content"
        return text_refusal(document.text)
    if document.text:
        return "text and content are both given"
    if len(document.content) > MAX_CONTENT_BYTES:
        return f"content is larger than {MAX_CONTENT_BYTES >> 20} MiB; split the document"
    return ""


def _metadata_refusal(metadata_json: str) -> str:
    if len(metadata_json.encode()) > MAX_METADATA_BYTES:
        return f"metadata is larger than {MAX_METADATA_BYTES >> 10} KiB"
    try:
        metadata = json.loads(metadata_json)
    except ValueError as error:
        return f"metadata is not JSON: {error}"
    except RecursionError:
        return f"metadata is nested deeper than {MAX_METADATA_DEPTH}"
    if not isinstance(metadata, dict):
        return "metadata is not a JSON object"
    return _value_refusal(metadata, 1)


def _value_refusal(value: Json, depth: int) -> str:
    """Why the engine could not hold a value as it is."""
    if depth > MAX_METADATA_DEPTH:
        return f"metadata is nested deeper than {MAX_METADATA_DEPTH}"
    match value:
        case str():
            return "" if value.isascii() or _is_unicode(value) else "metadata holds half a surrogate pair"
        case bool() | None:
            return ""
        case int():
            return "" if -(2**63) <= value < 2**63 else "metadata holds a number beyond 64 bits"
        case float():
            return "" if math.isfinite(value) else "metadata holds a number that is not finite"
        case Mapping():
            parts: Iterable[Json] = itertools.chain(value.keys(), value.values())
        case _:
            parts = value
    return next(filter(None, (_value_refusal(part, depth + 1) for part in parts)), "")


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def digest(document: Document, cutting: str, model_digest: str) -> str:
    """Names a document's content and how it is cut and encoded: the same digest means there is nothing to do.

    Args:
        document: The content.
        cutting: What else changes its chunks: chunking parameters, the parsers' version.
        model_digest: Of the model that encodes them.
    """
    content = json.dumps(
        [
            document.id,
            document.title,
            hashlib.sha256(document.content).hexdigest() if document.content else document.text,
            document.metadata_json,
            document.media_type,
            document.acl,
            cutting,
        ],
        ensure_ascii=False,
    )
    return with_model(hashlib.sha256(content.encode()).hexdigest(), model_digest)


def with_model(digest: str, model_digest: str) -> str:
    """The digest of the same chunks, encoded by another model."""
    return f"{digest.partition(':')[0]}:{model_digest}"


def is_by_model(digest: str, model_digest: str) -> bool:
    """True where the content of this digest was encoded by this model."""
    return digest.endswith(f":{model_digest}")


def wording(context: str, text: str) -> str:
    """Names what is encoded of a chunk: its context line and its text."""
    return hashlib.sha256(f"{context}\n{text}".encode()).hexdigest()[:32]


def chunk_id(tenant: str, knowledge_base: str, document_id: str, ordinal: int, chunk: Chunk) -> str:
    """An id that a chunk keeps while its place and text stay."""
    name = json.dumps([tenant, knowledge_base, document_id, ordinal, chunk.text])
    return str(uuid.uuid5(uuid.NAMESPACE_OID, name))
