"""The one tree of errors that cross a border; everything below it is transport-free.

    ServiceError
    ├── InvalidArgument     the request itself is wrong
    ├── Unauthenticated     nobody knows who asks
    ├── PermissionDenied    known, but may not
    ├── NotFound            the thing named does not exist
    ├── Conflict            the request contradicts what is there
    ├── FailedPrecondition  right request, wrong state of the system
    ├── ResourceExhausted   a limit was reached; try later
    │   └── LimitExceeded   one of the caller's own
    ├── Unavailable         try again
    ├── DeadlineExceeded    time ran out
    ├── Cancelled           the caller went away
    ├── Unimplemented       this version does not do that
    └── Internal            a fault of ours

`status_mapping` alone knows their gRPC and HTTP codes.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import ClassVar

_NOTHING: Mapping[str, str] = MappingProxyType({})


class ServiceError(Exception):
    """Base of all errors that a caller may see.

    Args:
        message: One sentence for a person: what is wrong and, where it helps, what to do.
        reason: A stable `SCREAMING_SNAKE` word for programs; the class's own when not given.
        metadata: Further facts for programs.
    """

    default_reason: ClassVar[str] = "INTERNAL"

    def __init__(
        self, message: str, *, reason: str | None = None, metadata: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.message = message
        self.reason = reason or self.default_reason
        self.metadata = metadata or _NOTHING


class InvalidArgument(ServiceError):
    """The request itself is wrong; `field` is the path of the part that is."""

    default_reason = "INVALID_ARGUMENT"

    def __init__(
        self,
        message: str,
        *,
        reason: str | None = None,
        metadata: Mapping[str, str] | None = None,
        field: str = "",
    ) -> None:
        super().__init__(message, reason=reason, metadata=metadata)
        self.field = field


class Unauthenticated(ServiceError):
    """Nobody knows who asks."""

    default_reason = "UNAUTHENTICATED"


class PermissionDenied(ServiceError):
    """The caller is known, but may not."""

    default_reason = "PERMISSION_DENIED"


class NotFound(ServiceError):
    """The thing named does not exist, or not for this caller."""

    default_reason = "NOT_FOUND"


class Conflict(ServiceError):
    """The request contradicts what is already there."""

    default_reason = "CONFLICT"


class FailedPrecondition(ServiceError):
    """The request is right, but the system is not in a state to serve it; retrying alone will not help."""

    default_reason = "FAILED_PRECONDITION"


class _TryLater(ServiceError):
    """Base of errors that may pass; `retry_after` is in seconds."""

    def __init__(
        self,
        message: str,
        *,
        reason: str | None = None,
        metadata: Mapping[str, str] | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message, reason=reason, metadata=metadata)
        self.retry_after = retry_after


class ResourceExhausted(_TryLater):
    """A limit was reached."""

    default_reason = "RESOURCE_EXHAUSTED"


class LimitExceeded(ResourceExhausted):
    """A limit of the caller's own stands against it; `quota` names it: `tenant:acme/requests_per_minute`."""

    default_reason = "RATE_LIMIT_EXCEEDED"

    def __init__(
        self,
        message: str,
        *,
        reason: str | None = None,
        metadata: Mapping[str, str] | None = None,
        retry_after: float | None = None,
        quota: str = "",
    ) -> None:
        super().__init__(message, reason=reason, metadata=metadata, retry_after=retry_after)
        self.quota = quota


class Unavailable(_TryLater):
    """The service, or one it needs, cannot be reached now."""

    default_reason = "UNAVAILABLE"


class DeadlineExceeded(ServiceError):
    """Time ran out before the work was done."""

    default_reason = "DEADLINE_EXCEEDED"


class Cancelled(ServiceError):
    """The caller went away."""

    default_reason = "CANCELLED"


class Unimplemented(ServiceError):
    """This version does not do that."""

    default_reason = "UNIMPLEMENTED"


class Internal(ServiceError):
    """A fault of ours."""

    default_reason = "INTERNAL"
