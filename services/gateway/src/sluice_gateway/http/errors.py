"""Errors in OpenAI's shape, everywhere under `/v1`: `{"error": {"message", "type", "param", "code"}}`."""

import math
from typing import ClassVar

from fastapi.responses import JSONResponse

from sluice_gateway.domain.limiting.exceeded import LimitExceeded
from sluice_gateway.domain.outcome import ADMIT
from sluice_servicekit.errors import InvalidArgument, ServiceError
from sluice_servicekit.status_mapping import http_status

_TYPES = {
    401: "authentication_error",
    403: "permission_error",
    429: "rate_limit_error",
    503: "service_unavailable_error",
    504: "timeout_error",
}
#: Reasons that OpenAI has a word of its own for, by which its clients go.
_CODES = {"PROMPT_TOO_LONG": "context_length_exceeded"}


class HttpFault(InvalidArgument):
    """A request that is wrong in a way that gRPC has no status for."""

    status: ClassVar[int] = 400


class BodyTooLarge(HttpFault):
    """The body is larger than the gateway takes."""

    default_reason = "BODY_TOO_LARGE"
    status = 413


class UnsupportedMediaType(HttpFault):
    """The body is not of a type that is read here."""

    default_reason = "UNSUPPORTED_MEDIA_TYPE"
    status = 415


class MethodNotAllowed(HttpFault):
    """The URL is known, and does not do that."""

    default_reason = "METHOD_NOT_ALLOWED"
    status = 405


def error_body(error: ServiceError, *, step: str = "") -> dict[str, object]:
    """The body; `step` names the step of a run that failed."""
    status = _status(error)
    kind = _TYPES.get(status, "invalid_request_error" if status < 500 else "api_error")
    message = f"{step}: {error.message}" if step and step != ADMIT else error.message
    body: dict[str, object] = {
        "message": message,
        "type": kind,
        "param": error.field or None if isinstance(error, InvalidArgument) else None,
        "code": _CODES.get(error.reason, error.reason.lower()),
    }
    if step:
        body["step"] = step
    return {"error": body}


def error_response(error: ServiceError, *, step: str = "") -> JSONResponse:
    """The whole response, with `Retry-After` where it pays to try again."""
    headers: dict[str, str] = {}
    retry_after = getattr(error, "retry_after", None)
    if retry_after is not None:
        headers["retry-after"] = str(max(1, math.ceil(retry_after)))
    status = _status(error)
    if status == 401:
        headers["www-authenticate"] = (
            'Bearer error="invalid_token"' if error.reason == "INVALID_TOKEN" else "Bearer"
        )
    if isinstance(error, LimitExceeded) and (retry_after is None or error.reason == "INSUFFICIENT_QUOTA"):
        headers["x-should-retry"] = "false"  # OpenAI's clients would wait and ask again
    return JSONResponse(error_body(error, step=step), status, headers)


def _status(error: ServiceError) -> int:
    return error.status if isinstance(error, HttpFault) else http_status(error)
