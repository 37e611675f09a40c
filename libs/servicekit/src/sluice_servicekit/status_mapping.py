"""The one table between `ServiceError`, gRPC status and HTTP status, read in both directions."""

from typing import TypeVar

import grpc
from google.protobuf import any_pb2, duration_pb2
from google.protobuf.message import Message
from google.rpc import code_pb2, error_details_pb2, status_pb2
from grpc_status import rpc_status

from sluice_servicekit import errors
from sluice_servicekit.errors import InvalidArgument, LimitExceeded, ServiceError

DOMAIN = "sluice.dev"

_Detail = TypeVar("_Detail", bound=Message)

#: error class, gRPC code, HTTP status. The first row of a code wins when reading back.
TABLE: tuple[tuple[type[ServiceError], grpc.StatusCode, int], ...] = (
    (errors.InvalidArgument, grpc.StatusCode.INVALID_ARGUMENT, 400),
    (errors.Unauthenticated, grpc.StatusCode.UNAUTHENTICATED, 401),
    (errors.PermissionDenied, grpc.StatusCode.PERMISSION_DENIED, 403),
    (errors.NotFound, grpc.StatusCode.NOT_FOUND, 404),
    (errors.Conflict, grpc.StatusCode.ABORTED, 409),
    (errors.FailedPrecondition, grpc.StatusCode.FAILED_PRECONDITION, 409),
    (errors.ResourceExhausted, grpc.StatusCode.RESOURCE_EXHAUSTED, 429),
    (errors.Unavailable, grpc.StatusCode.UNAVAILABLE, 503),
    (errors.DeadlineExceeded, grpc.StatusCode.DEADLINE_EXCEEDED, 504),
    (errors.Cancelled, grpc.StatusCode.CANCELLED, 499),
    (errors.Unimplemented, grpc.StatusCode.UNIMPLEMENTED, 501),
    (errors.Internal, grpc.StatusCode.INTERNAL, 500),
)
_BY_CLASS = {row[0]: row for row in TABLE}
_BY_CODE = {row[1]: row[0] for row in reversed(TABLE)}


def grpc_code(error: ServiceError) -> grpc.StatusCode:
    """The gRPC status code of an error."""
    return _row(error)[1]


def http_status(error: ServiceError) -> int:
    """The HTTP status of an error."""
    return _row(error)[2]


def to_status(error: ServiceError) -> status_pb2.Status:
    """The error as `google.rpc.Status` with ErrorInfo and, where known, BadRequest, QuotaFailure and RetryInfo."""
    details = [
        _pack(error_details_pb2.ErrorInfo(reason=error.reason, domain=DOMAIN, metadata=error.metadata))
    ]
    if isinstance(error, InvalidArgument) and error.field:
        violation = error_details_pb2.BadRequest.FieldViolation(field=error.field, description=error.message)
        details.append(_pack(error_details_pb2.BadRequest(field_violations=[violation])))
    if isinstance(error, LimitExceeded):
        exceeded = error_details_pb2.QuotaFailure.Violation(subject=error.quota, description=error.message)
        details.append(_pack(error_details_pb2.QuotaFailure(violations=[exceeded])))
    retry_after = getattr(error, "retry_after", None)
    if retry_after is not None:
        delay = duration_pb2.Duration()
        delay.FromMilliseconds(int(retry_after * 1000))
        details.append(_pack(error_details_pb2.RetryInfo(retry_delay=delay)))
    code = code_pb2.Code.Value(grpc_code(error).name)
    return status_pb2.Status(code=code, message=error.message, details=details)


def from_rpc_error(error: grpc.aio.AioRpcError, *, peer: str = "") -> ServiceError:
    """The error that the other side raised; what gRPC itself made gets a reason and names the peer."""
    cls = _BY_CODE.get(error.code(), errors.Internal)
    reason: str | None = None
    metadata: dict[str, str] = {}
    extra: dict[str, object] = {}
    status = rpc_status.from_call(error)  # type: ignore[arg-type]  # reads only what both kinds of call have
    for detail in status.details if status is not None else ():
        if detail.Is(error_details_pb2.ErrorInfo.DESCRIPTOR):
            info = _unpack(detail, error_details_pb2.ErrorInfo())
            reason, metadata = info.reason, dict(info.metadata)
        elif detail.Is(error_details_pb2.BadRequest.DESCRIPTOR) and cls is InvalidArgument:
            violations = _unpack(detail, error_details_pb2.BadRequest()).field_violations
            extra["field"] = violations[0].field if violations else ""
        elif detail.Is(error_details_pb2.RetryInfo.DESCRIPTOR) and cls in (
            errors.Unavailable,
            errors.ResourceExhausted,
        ):
            extra["retry_after"] = (
                _unpack(detail, error_details_pb2.RetryInfo()).retry_delay.ToMilliseconds() / 1000
            )
    message = error.details() or cls.default_reason
    if reason is None and peer:  # not one of ours: the connection, a proxy, or gRPC's own deadline
        message = f"{peer}: {message}"
    return cls(message, reason=reason, metadata=metadata, **extra)


def _row(error: ServiceError) -> tuple[type[ServiceError], grpc.StatusCode, int]:
    for cls in type(error).__mro__:
        if cls in _BY_CLASS:
            return _BY_CLASS[cls]
    return _BY_CLASS[errors.Internal]


def _pack(message: Message) -> any_pb2.Any:
    packed = any_pb2.Any()
    packed.Pack(message)
    return packed


def _unpack(detail: any_pb2.Any, into: _Detail) -> _Detail:
    detail.Unpack(into)
    return into
