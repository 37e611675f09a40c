"""A response as it is kept: what it takes to give it again."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import orjson

from sluice_servicekit import errors
from sluice_servicekit.errors import InvalidArgument, ServiceError

#: The name of the payload.
RESPONSE = "response"


@dataclass(frozen=True, slots=True)
class Recorded:
    """A response."""

    body: bytes
    status: int = 200
    """HTTP's; 0 for an error that no response has been made of."""
    headers: Mapping[str, str] = field(default_factory=dict)

    def content(self) -> bytes:
        """As a payload: a line of JSON, then the body."""
        return orjson.dumps({"status": self.status, "headers": dict(self.headers)}) + b"\n" + self.body

    @classmethod
    def read(cls, content: bytes) -> "Recorded":
        """Of a payload."""
        line, _, body = content.partition(b"\n")
        head = orjson.loads(line)
        return cls(body, head["status"], head["headers"])

    @classmethod
    def of_error(cls, error: ServiceError) -> "Recorded":
        """An error."""
        said = {
            "class": type(error).__name__,
            "message": error.message,
            "reason": error.reason,
            "metadata": dict(error.metadata),
            "field": error.field if isinstance(error, InvalidArgument) else "",
        }
        return cls(orjson.dumps(said), status=0)

    def error(self) -> ServiceError:
        """The error that was kept."""
        said = orjson.loads(self.body)
        kind = getattr(errors, said["class"], errors.Internal)
        extra = {"field": said["field"]} if issubclass(kind, InvalidArgument) else {}
        error: ServiceError = kind(said["message"], reason=said["reason"], metadata=said["metadata"], **extra)
        return error


def is_final(error: ServiceError) -> bool:
    """True where the same request would fail so again."""
    may_pass = (
        errors.Unavailable,
        errors.ResourceExhausted,
        errors.DeadlineExceeded,
        errors.Cancelled,
        errors.Internal,
    )
    return not isinstance(error, may_pass)
