"""How urgent a run is."""

from enum import StrEnum

from sluice_servicekit.errors import InvalidArgument

HEADER = "x-sluice-priority"


class Priority(StrEnum):
    """How urgent a run is, the most urgent first."""

    INTERACTIVE = "interactive"
    """Somebody waits."""
    BATCH = "batch"
    """A program waits; OpenAI's `service_tier: flex`."""
    BACKGROUND = "background"
    """Nobody waits."""


_ORDER = tuple(Priority)

#: The part of the limit that runs of a priority may fill: what is left is for more urgent ones alone.
CEILING = {Priority.INTERACTIVE: 1.0, Priority.BATCH: 0.8, Priority.BACKGROUND: 0.6}


def less_urgent(one: Priority, other: Priority) -> Priority:
    """The less urgent of two."""
    return max(one, other, key=_ORDER.index)


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
