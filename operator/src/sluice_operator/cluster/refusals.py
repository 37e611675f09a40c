"""The API server's refusals as errors of ours. Converts only."""

import json
from collections.abc import Mapping
from typing import Any

from sluice_servicekit import errors

#: What server-side apply says, by a 500, of a field of a wrong type.
_UNTYPED = "failed to create typed patch object"

_BY_STATUS: Mapping[int, type[errors.ServiceError]] = {
    401: errors.Unauthenticated,
    403: errors.PermissionDenied,
    409: errors.Conflict,
    410: errors.FailedPrecondition,
}


def of(status: int, body: bytes | Mapping[str, Any], headers: Mapping[str, str]) -> errors.ServiceError:
    """The error that an answer other than 2xx is.

    Args:
        body: A `metav1.Status`, or what stands in front of the server said instead.
    """
    said = _status(body)
    message = str(said.get("message") or f"the API server answered {status}")
    if status == 404 and (said.get("details") or {}).get("name"):
        return errors.NotFound(message)
    if status in (404, 405):  # of a resource that the server knows, what is missing is named
        return errors.Unimplemented(f"{message}: the API server does not have this resource")
    if status in (400, 413, 415, 422) or _UNTYPED in message:
        return errors.InvalidArgument(message, field=_field(said))
    if status == 429:
        return errors.ResourceExhausted(message, retry_after=_seconds(headers))
    if status in _BY_STATUS:
        return _BY_STATUS[status](message)
    return errors.Unavailable(message, retry_after=_seconds(headers) if "Retry-After" in headers else None)


def _status(body: bytes | Mapping[str, Any]) -> Mapping[str, Any]:
    if isinstance(body, Mapping):
        return body
    try:
        said = json.loads(body)
    except ValueError:
        return {}
    return said if isinstance(said, dict) and said.get("kind") == "Status" else {}


def _field(said: Mapping[str, Any]) -> str:
    causes = (said.get("details") or {}).get("causes") or [{}]
    return str(causes[0].get("field") or "")


def _seconds(headers: Mapping[str, str]) -> float:
    try:
        return max(0.0, float(headers.get("Retry-After") or 1.0))
    except ValueError:  # a date
        return 1.0
