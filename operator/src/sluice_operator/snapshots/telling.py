"""How an object stands in the snapshot, as its status says it. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from sluice_api.errors import Problem
from sluice_api.statuses.base import Condition, stalled
from sluice_api.statuses.distributed import (
    COMPILED,
    DISTRIBUTED,
    MAX_REFUSED,
    DistributedStatus,
    Refused,
    SnapshotStatus,
)
from sluice_api.tolerant import Standing, State
from sluice_operator.snapshots.views import Delivery, Reached, View

#: Reasons of `Ready` that do not pass without a person.
_LASTING = {"Held", "LeftOut", "Refused", "NotInForceThere", "Deleted"}

#: What of a longer list a message names.
_NAMED = 5
_LONGEST_REASON = 1000


@dataclass(frozen=True, slots=True)
class Told:
    """The parts of a status that come from the snapshot."""

    version: str
    in_force_generation: int
    snapshot: SnapshotStatus | None
    compiled: Condition
    distributed: Condition


def told(view: View, generation: int, before: DistributedStatus) -> Told:
    """What there is to say.

    Args:
        generation: Of the object, at the pass's start.
        before: The status as the last pass left it; it may know since which snapshot the version has been out.
    """
    delivery, standing = view.delivery, view.standing
    return Told(
        version=delivery.version,
        in_force_generation=standing.generation if standing is not None else 0,
        snapshot=_snapshot(delivery, before) if delivery.version else None,
        compiled=_compiled(standing if view.judged == generation else None),
        distributed=_distributed(delivery),
    )


def _snapshot(delivery: Delivery, before: DistributedStatus) -> SnapshotStatus:
    known = before.snapshot.digest if before.snapshot is not None else ""
    refused = [
        Refused(
            service=each.service,
            instance=each.instance,
            reason=_cut(each.problem or each.refused),
        )
        for each in delivery.watchers
        if _says_no(each)
    ]
    running = sum(each.runs and not each.problem for each in delivery.watchers)
    return SnapshotStatus(
        digest=known if known and before.version == delivery.version else delivery.digest,
        acknowledged=f"{running}/{len(delivery.watchers)}",
        watchers=len(delivery.watchers),
        refused=tuple(refused[:MAX_REFUSED]),
    )


def _compiled(standing: Standing | None) -> Condition:
    if standing is None:
        return COMPILED.is_unknown("Pending", "The operator has not compiled this spec yet.")
    match standing.state:
        case State.HELD:
            return COMPILED.is_false(
                "Held",
                f"Generation {standing.generation} stays in force: {problems_of(standing.problems)}",
            )
        case State.LEFT_OUT:
            return COMPILED.is_false("LeftOut", f"Services do not know it: {problems_of(standing.problems)}")
    return COMPILED.is_true("Compiled", f"Generation {standing.generation} is in force.")


def _distributed(delivery: Delivery) -> Condition:
    watchers = delivery.watchers
    if not delivery.version:
        return DISTRIBUTED.is_false("NothingInForce", "Nothing is in force, see Compiled.")
    if not watchers:
        return DISTRIBUTED.is_false("NoWatchers", "No service is connected to the operator.")
    if unable := [each for each in watchers if each.problem]:
        return DISTRIBUTED.is_false("NotInForceThere", f"{_places(unable)}: {_cut(unable[0].problem)}")
    behind = [each for each in watchers if not each.runs]
    if refusing := [each for each in behind if each.refused]:
        return DISTRIBUTED.is_false("Refused", f"{_places(refusing)} refuses it: {_cut(refusing[0].refused)}")
    if behind:
        return DISTRIBUTED.is_false(
            "Waiting", f"{len(watchers) - len(behind)} of {len(watchers)} run it; not yet: {_places(behind)}."
        )
    return DISTRIBUTED.is_true("Acknowledged", f"All {len(watchers)} connected processes run it.")


def with_stalled(ready: Condition) -> tuple[Condition, ...]:
    """`Ready`, and beside it `Stalled` where waiting is of no use."""
    return (ready, stalled(ready.reason, ready.message)) if ready.reason in _LASTING else (ready,)


def _says_no(watcher: Reached) -> bool:
    return bool(watcher.problem) or (not watcher.runs and bool(watcher.refused))


def problems_of(problems: Sequence[Problem]) -> str:
    """Field and message of each, in one line."""
    said = [_cut(f"{each.field}: {each.message}" if each.field else each.message) for each in problems]
    return "; ".join(said[:_NAMED]) + (f" and {len(said) - _NAMED} more" if len(said) > _NAMED else "") + "."


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST_REASON else f"{text[: _LONGEST_REASON - 1]}…"


def _places(watchers: Sequence[Reached]) -> str:
    said = [f"{each.service} {each.instance}" for each in watchers[:_NAMED]]
    return ", ".join(said) + (f" and {len(watchers) - _NAMED} more" if len(watchers) > _NAMED else "")
