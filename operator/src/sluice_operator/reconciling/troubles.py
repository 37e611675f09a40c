"""Why a pass could not be made, in the words of a condition. Pure."""

from dataclasses import dataclass

from pydantic import ValidationError

from sluice_servicekit import errors

_FIELDS = 3


@dataclass(frozen=True, slots=True)
class Trouble:
    """What goes into a condition, and how the loop goes on."""

    reason: str
    """Of `Reconciling` or `Stalled`, see `sluice_api.statuses.base`."""
    message: str
    stalled: bool = False
    """A person has to do something."""
    invalid: bool = False
    """The object itself is wrong: nothing to try again until it changes."""
    retry_after: float = 0.0
    """Seconds that the other side asked for."""
    unknown: bool = False
    """A fault of ours, or of a library: to be logged with its traceback."""


NAME_TAKEN = "NAME_TAKEN"
"""The reason of a `FailedPrecondition`: a child's name is another's already."""

#: By type of error: the reason, and whether a person has to do something.
_BY_TYPE: tuple[tuple[type[errors.ServiceError], str, bool], ...] = (
    (errors.InvalidArgument, "Refused", True),
    (errors.PermissionDenied, "PermissionDenied", True),
    (errors.Unauthenticated, "PermissionDenied", True),
    (errors.Unimplemented, "NotInstalled", True),
    (errors.Conflict, "Conflict", False),
    (errors.ResourceExhausted, "TooManyRequests", False),
    (errors.Unavailable, "Unavailable", False),
    (errors.DeadlineExceeded, "Unavailable", False),
    (errors.NotFound, "NotFound", False),
)

#: What to do, where the error's own words do not say it.
_REMEDIES = {
    "ImmutableField": " The API server lets this field be set at creation alone: undo the change, or delete the child "
    "by hand, and the operator makes it anew.",
    "PermissionDenied": " Grant it to the operator's role, as operator/deploy/cluster-role.yaml does.",
}


class Unreadable(Exception):
    """The API server has let through an object that its model refuses; no other validation is its author's matter."""

    def __init__(self, error: ValidationError) -> None:
        super().__init__(_invalid(error))


def of(error: Exception) -> Trouble:
    """The trouble that an exception is."""
    if isinstance(error, Unreadable):
        return Trouble("Invalid", str(error), stalled=True, invalid=True)
    if isinstance(error, errors.ServiceError):
        reason, stalled = _reason(error)
        if reason:
            message = f"{_ended(error.message)}{_REMEDIES.get(reason, '')}"
            after = getattr(error, "retry_after", None) or 0.0
            return Trouble(reason, message, stalled=stalled, retry_after=after)
    return Trouble(
        "InternalError",
        f"The operator failed by {type(error).__name__}; its log has the traceback. It tries again.",
        stalled=True,
        unknown=True,
    )


def _reason(error: errors.ServiceError) -> tuple[str, bool]:
    if isinstance(error, errors.InvalidArgument) and "immutable" in error.message:
        return "ImmutableField", True
    if error.reason == NAME_TAKEN:
        return "NameTaken", True
    return next(((reason, lasts) for kind, reason, lasts in _BY_TYPE if isinstance(error, kind)), ("", False))


def _invalid(error: ValidationError) -> str:
    found = error.errors(include_url=False, include_input=False, include_context=False)
    parts = [f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in found[:_FIELDS]]
    more = f" and {len(found) - _FIELDS} more" if len(found) > _FIELDS else ""
    return f"{'; '.join(parts)}{more}. Nothing is changed until this is put right."


def _ended(sentence: str) -> str:
    return sentence if sentence.endswith((".", "!", "?")) else f"{sentence}."
