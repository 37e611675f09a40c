"""Qdrant's failures as errors of the one tree."""

import json

import grpc
from qdrant_client.common.client_exceptions import ResourceExhaustedResponse
from qdrant_client.http.exceptions import ResponseHandlingException, UnexpectedResponse

from sluice_servicekit import upstream
from sluice_servicekit.errors import (
    Conflict,
    DeadlineExceeded,
    FailedPrecondition,
    Internal,
    NotFound,
    ResourceExhausted,
    ServiceError,
    Unavailable,
)

#: What the client raises when a call fails.
FAILURES = (
    grpc.aio.AioRpcError,
    ResourceExhaustedResponse,
    UnexpectedResponse,
    ResponseHandlingException,
)

#: Seconds after which a server that restarts, or a shard that changes hands, may answer again.
_RETRY_AFTER = 1.0

#: Internal errors that pass: the text of `does not have enough active replicas` and `Please retry`.
_PASSING = ("active replicas", "please retry", "at least one `active` replica")

_CODES = {
    400: grpc.StatusCode.INVALID_ARGUMENT,
    401: grpc.StatusCode.UNAUTHENTICATED,
    403: grpc.StatusCode.PERMISSION_DENIED,
    404: grpc.StatusCode.NOT_FOUND,
    408: grpc.StatusCode.DEADLINE_EXCEEDED,
    409: grpc.StatusCode.ALREADY_EXISTS,
    429: grpc.StatusCode.RESOURCE_EXHAUSTED,
    500: grpc.StatusCode.INTERNAL,
    502: grpc.StatusCode.UNAVAILABLE,
    503: grpc.StatusCode.UNAVAILABLE,
    504: grpc.StatusCode.UNAVAILABLE,
}


def translate(error: Exception, address: str, secret: str) -> ServiceError:
    """The error to raise in place of one of `FAILURES`.

    Args:
        error: What the client raised.
        address: The server, for a person to read.
        secret: The secret that holds its API key; empty where there is none.
    """
    if isinstance(error, ResourceExhaustedResponse):
        return _limited(address, error.message, float(error.retry_after_s))
    if isinstance(error, ResponseHandlingException):
        return _unreachable(address, str(error.source) or type(error.source).__name__)
    if isinstance(error, UnexpectedResponse):
        code = _CODES.get(error.status_code or 0, grpc.StatusCode.UNKNOWN)
        return _by_code(code, _text(error), address, secret, upstream.retry_after(error.headers))
    if isinstance(error, grpc.aio.AioRpcError):
        return _by_code(error.code(), error.details() or "", address, secret)
    return Internal(f"Qdrant at {address}: {error}", reason="QDRANT_FAILED")


def _by_code(
    code: grpc.StatusCode, text: str, address: str, secret: str, retry_after: float | None = None
) -> ServiceError:
    said = f"Qdrant at {address}: {text}"
    match code:
        case grpc.StatusCode.UNAVAILABLE:
            return _unreachable(address, text)
        case grpc.StatusCode.UNAUTHENTICATED | grpc.StatusCode.PERMISSION_DENIED:
            return _refused(address, text, secret)
        case grpc.StatusCode.RESOURCE_EXHAUSTED:
            return _limited(address, text, retry_after)
        case grpc.StatusCode.DEADLINE_EXCEEDED:
            return DeadlineExceeded(said)
        case grpc.StatusCode.ALREADY_EXISTS:
            return Conflict(said)
        case grpc.StatusCode.NOT_FOUND | grpc.StatusCode.INVALID_ARGUMENT if "hard key" in text:
            return FailedPrecondition(said, reason="QDRANT_SHARD_KEY_NOT_FOUND")
        case grpc.StatusCode.NOT_FOUND:
            return NotFound(said, reason="QDRANT_COLLECTION_NOT_FOUND")
        case grpc.StatusCode.INVALID_ARGUMENT | grpc.StatusCode.FAILED_PRECONDITION:
            return FailedPrecondition(said, reason="QDRANT_REFUSED_REQUEST")
        case grpc.StatusCode.INTERNAL if any(phrase in text.lower() for phrase in _PASSING):
            return Unavailable(said, reason="QDRANT_SHARD_UNAVAILABLE", retry_after=_RETRY_AFTER)
        case _:
            return Internal(said, reason="QDRANT_FAILED")


def _unreachable(address: str, text: str) -> Unavailable:
    return Unavailable(
        f"Qdrant at {address} cannot be reached: {text}",
        reason="QDRANT_UNREACHABLE",
        retry_after=_RETRY_AFTER,
    )


def _refused(address: str, text: str, secret: str) -> FailedPrecondition:
    remedy = (
        f"the API key in secret {secret!r} is not the server's, or may not do this"
        if secret
        else "name the secret with its API key in deployment.selfHosted.apiKeySecret"
    )
    return FailedPrecondition(f"Qdrant at {address} refuses: {text}; {remedy}", reason="QDRANT_REFUSED_KEY")


def _limited(address: str, text: str, retry_after: float | None) -> ResourceExhausted:
    return ResourceExhausted(
        f"Qdrant at {address} limits its callers: {text}",
        reason="QDRANT_LIMIT",
        retry_after=_RETRY_AFTER if retry_after is None else retry_after,
    )


def _text(error: UnexpectedResponse) -> str:
    try:
        status = json.loads(error.content)["status"]
        return str(status["error"] if isinstance(status, dict) else status)
    except (ValueError, KeyError, TypeError):
        return error.content[:200].decode(errors="replace") or error.reason_phrase
