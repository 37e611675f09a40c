"""How urgent a run is."""

from sluice_api.objects.pipeline import RunPriority as Priority
from sluice_servicekit.errors import InvalidArgument

__all__ = ["CEILING", "HEADER", "Priority", "asked_for", "less_urgent"]

HEADER = "x-sluice-priority"

#: The most urgent first.
_ORDER = tuple(Priority)

#: The part of the limit that runs of a priority may fill: what is left is for more urgent ones alone.
CEILING = {Priority.INTERACTIVE: 1.0, Priority.BATCH: 0.8, Priority.BACKGROUND: 0.6}


def less_urgent(*priorities: Priority) -> Priority:
    """The least urgent of several."""
    return max(priorities, key=_ORDER.index)


def asked_for(given: str | None, highest: Priority) -> Priority:
    """What a caller gets that names a priority: never more than `highest`.

    Raises:
        InvalidArgument: it is none of them.
    """
    if not given:
        return highest
    try:
        return less_urgent(Priority(given.lower()), highest)
    except ValueError:
        names = ", ".join(_ORDER)
        raise InvalidArgument(f"{HEADER} must be one of {names}", field=HEADER) from None
