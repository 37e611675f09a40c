"""Conditions from pass to pass: when they turned, which generation they are about, what kstatus wants beside. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sluice_api.statuses.base import READY, RECONCILING, STALLED, Condition, Status, Truth
from sluice_operator.reconciling.troubles import Trouble

Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Turn:
    """A condition that has turned."""

    condition: Json
    worse: bool


def after_pass(status: Status, before: Json, generation: int, now: float) -> dict[str, Any]:
    """A status as it is written, once a pass has done its part.

    Args:
        before: The status as it stands.
        now: Seconds since the epoch.
    """
    found = {condition.type: condition for condition in status.conditions}
    ready = found.get(READY)
    if ready is not None and ready.status is not Truth.TRUE and STALLED.name not in found:
        found.setdefault(RECONCILING.name, RECONCILING.is_true("Progressing", ready.message))
    dump = status.model_dump(
        mode="json", by_alias=True, exclude_none=True, exclude={"conditions", "observed_generation"}
    )
    return dump | {
        "observedGeneration": generation,
        "conditions": _dated(list(found.values()), before, generation, now),
    }


def after_trouble(trouble: Trouble, before: Json, generation: int, now: float) -> dict[str, Any]:
    """A status as it is written where a pass could not be made: what else it said stays, as of then."""
    kind = STALLED if trouble.stalled else RECONCILING
    new = [kind.is_true(trouble.reason, trouble.message)]
    kept = {entry["type"]: entry for entry in before.get("conditions") or []}
    if trouble.invalid:
        new.insert(
            0, Condition(type=READY, status=Truth.FALSE, reason=trouble.reason, message=trouble.message)
        )
    elif READY not in kept:
        new.insert(
            0, Condition(type=READY, status=Truth.UNKNOWN, reason=trouble.reason, message=trouble.message)
        )
    for name in (STALLED.name, RECONCILING.name, *(condition.type for condition in new)):
        kept.pop(name, None)
    return {
        **before,
        "observedGeneration": generation,
        "conditions": [*kept.values(), *_dated(new, before, generation, now)],
    }


def turns(before: Json, after: Json) -> Sequence[Turn]:
    """Which conditions have turned in a way that people should hear of: `Ready` either way, others that hold no more,
    `Stalled` whenever it begins or has another reason."""
    old = {entry["type"]: entry for entry in before.get("conditions") or []}
    found = []
    for entry in after["conditions"]:
        name, status = entry["type"], entry["status"]
        known = old.get(name)
        if name == RECONCILING.name:  # says no more than Ready does
            continue
        if name == STALLED.name:
            if status == "True" and (known is None or known["reason"] != entry["reason"]):
                found.append(Turn(entry, worse=True))
        elif known is None:
            if name == READY and status == "True":
                found.append(Turn(entry, worse=False))
        elif known["status"] != status and (name == READY or status != "True"):
            # That another one holds now is a step towards Ready, which tells of all.
            found.append(Turn(entry, worse=known["status"] == "True"))
    return found


def rfc3339(seconds: float) -> str:
    """Of seconds since the epoch, in UTC, to the second."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _dated(
    conditions: Sequence[Condition], before: Json, generation: int, now: float
) -> list[dict[str, Any]]:
    old = {entry["type"]: entry for entry in before.get("conditions") or []}
    dated = []
    for condition in conditions:
        known = old.get(condition.type)
        same = known is not None and known["status"] == condition.status.value
        since = known.get("lastTransitionTime") if known is not None and same else None
        stamped = condition.model_copy(
            update={
                "observed_generation": generation,
                "last_transition_time": since or rfc3339(now),
            }
        )
        dated.append(stamped.model_dump(mode="json", by_alias=True))
    return dated
