"""Why an adapter is not here or not loaded: one word for each, and whether trying again can help."""

from enum import StrEnum
from typing import Final

from sluice_servicekit.errors import (
    Conflict,
    FailedPrecondition,
    Internal,
    InvalidArgument,
    NotFound,
    PermissionDenied,
    ResourceExhausted,
    ServiceError,
    Unavailable,
)


class Reason(StrEnum):
    """What programs go by. The comments say what a person has to change."""

    # the source
    SOURCE_INVALID = "SOURCE_INVALID"
    SOURCE_NOT_FOUND = "SOURCE_NOT_FOUND"
    SOURCE_FORBIDDEN = "SOURCE_FORBIDDEN"
    SOURCE_ADDRESS_REFUSED = "SOURCE_ADDRESS_REFUSED"
    SOURCE_PATH_REFUSED = "SOURCE_PATH_REFUSED"
    SOURCE_REFUSED = "SOURCE_REFUSED"
    SOURCE_UNAVAILABLE = "SOURCE_UNAVAILABLE"
    SOURCE_TOO_SLOW = "SOURCE_TOO_SLOW"
    # the files
    ARCHIVE_INVALID = "ARCHIVE_INVALID"
    TOO_LARGE = "TOO_LARGE"
    NOT_SAFETENSORS = "NOT_SAFETENSORS"
    CONFIG_INVALID = "CONFIG_INVALID"
    DIGEST_MISMATCH = "DIGEST_MISMATCH"
    # the adapter
    UNSUPPORTED_ADAPTER = "UNSUPPORTED_ADAPTER"
    RANK_TOO_HIGH = "RANK_TOO_HIGH"
    RANK_MISMATCH = "RANK_MISMATCH"
    BASE_MODEL_MISMATCH = "BASE_MODEL_MISMATCH"
    MODULE_UNKNOWN = "MODULE_UNKNOWN"
    SHAPE_MISMATCH = "SHAPE_MISMATCH"
    UNCHECKED = "UNCHECKED"
    # this machine
    DISK_FULL = "DISK_FULL"
    ADAPTER_MISSING = "ADAPTER_MISSING"
    # vLLM
    NAME_INVALID = "NAME_INVALID"
    NAME_TAKEN = "NAME_TAKEN"
    ENGINE_REFUSED = "ENGINE_REFUSED"
    ENGINE_PATH_MISSING = "ENGINE_PATH_MISSING"
    ENGINE_LORA_OFF = "ENGINE_LORA_OFF"
    ENGINE_AUTH = "ENGINE_AUTH"
    ENGINE_FAILED = "ENGINE_FAILED"
    ENGINE_UNREACHABLE = "ENGINE_UNREACHABLE"


#: The kind of error, where it is not `FailedPrecondition`.
_KINDS: Final[dict[Reason, type[ServiceError]]] = {
    Reason.SOURCE_INVALID: InvalidArgument,
    Reason.SOURCE_NOT_FOUND: NotFound,
    Reason.SOURCE_FORBIDDEN: PermissionDenied,
    Reason.SOURCE_ADDRESS_REFUSED: PermissionDenied,
    Reason.SOURCE_PATH_REFUSED: PermissionDenied,
    Reason.SOURCE_UNAVAILABLE: Unavailable,
    Reason.SOURCE_TOO_SLOW: Unavailable,
    Reason.DISK_FULL: ResourceExhausted,
    Reason.NAME_INVALID: InvalidArgument,
    Reason.NAME_TAKEN: Conflict,
    Reason.ENGINE_FAILED: Unavailable,
    Reason.ENGINE_UNREACHABLE: Unavailable,
}

#: What may pass by itself. `ADAPTER_MISSING` passes once the adapter is resolved again.
_PASSING: Final = frozenset(
    {
        Reason.SOURCE_UNAVAILABLE,
        Reason.SOURCE_TOO_SLOW,
        Reason.DISK_FULL,
        Reason.ADAPTER_MISSING,
        Reason.ENGINE_FAILED,
        Reason.ENGINE_UNREACHABLE,
    }
)

_PERMANENT: Final = "permanent"


def failure(reason: Reason, message: str) -> ServiceError:
    """The error of a reason, which says whether it is permanent."""
    kind = _KINDS.get(reason, FailedPrecondition)
    return kind(
        message, reason=reason.value, metadata={_PERMANENT: "false" if reason in _PASSING else "true"}
    )


def is_permanent(error: ServiceError) -> bool:
    """True where the same will fail again until a person changes something."""
    said = error.metadata.get(_PERMANENT)
    return said == "true" if said else not isinstance(error, Unavailable | ResourceExhausted | Internal)
