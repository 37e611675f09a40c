"""A pipeline's status. Pure."""

from sluice_api.statuses.base import Condition, Truth
from sluice_api.statuses.pipeline import (
    DEPENDENCIES_READY,
    READY_CONDITION,
    REFERENCES_RESOLVED,
    PipelineStatus,
)
from sluice_operator.kinds.pipeline.context import Context, Presence, Referent
from sluice_operator.snapshots.telling import told, with_stalled


def observe(generation: int, context: Context) -> PipelineStatus:
    """What people are told.

    Args:
        generation: Of the object, at the pass's start.
    """
    view, before = context.view, context.status
    if view.settling and before.conditions and before.observed_generation == generation:
        return before
    parts = told(view, generation, before)
    references, dependencies = _references(context.referents), _dependencies(context)
    ready = _ready(parts.version, parts.compiled, references, parts.distributed, dependencies)
    # What is not there may be on its way: a folder's objects are applied one after the other.
    ending = (ready,) if references.reason == "NotFound" else with_stalled(ready)
    return PipelineStatus(
        conditions=(
            references,
            parts.compiled,
            parts.distributed,
            dependencies,
            *ending,
        ),
        version=parts.version,
        in_force_generation=parts.in_force_generation,
        snapshot=parts.snapshot,
    )


def _references(referents: tuple[Referent, ...]) -> Condition:
    for presence, reason, what in (
        (Presence.MISSING, "NotFound", "There is no {}. Create it, or correct the reference."),
        (Presence.UNUSABLE, "Unusable", "{} has never been in force; its own condition Compiled says why."),
        (
            Presence.DELETED,
            "Deleted",
            "{} is deleted, and stays in force until no Pipeline refers to it. Create it again, or refer to another.",
        ),
    ):
        if found := [each for each in referents if each.presence is presence]:
            names = ", ".join(f"{each.kind} {each.name!r} ({each.field})" for each in found)
            return REFERENCES_RESOLVED.is_false(reason, what.format(names))
    return REFERENCES_RESOLVED.is_true(
        "Resolved", f"All {len(referents)} objects that it refers to are there."
    )


def _dependencies(context: Context) -> Condition:
    if found := [each for each in context.referents if each.not_ready]:
        said = "; ".join(f"{each.kind} {each.name!r}: {each.not_ready}" for each in found)
        return DEPENDENCIES_READY.is_false("NotReady", said)
    if context.resting:
        return DEPENDENCIES_READY.is_false(
            "AdaptersResting",
            f"The base model answers in place of {', '.join(map(repr, context.resting))} until that is ready.",
        )
    if any(each.presence is Presence.MISSING for each in context.referents):
        return DEPENDENCIES_READY.is_unknown("Missing", "Something is not there, see ReferencesResolved.")
    return DEPENDENCIES_READY.is_true("Ready", "What it needs is ready.")


def _ready(
    version: str, compiled: Condition, references: Condition, distributed: Condition, dependencies: Condition
) -> Condition:
    if compiled.status is not Truth.TRUE:
        return READY_CONDITION.is_false(compiled.reason, compiled.message)
    if references.reason == "Deleted":
        return READY_CONDITION.is_false(references.reason, references.message)
    if distributed.status is not Truth.TRUE:
        return READY_CONDITION.is_false(distributed.reason, distributed.message)
    if dependencies.reason == "NotReady":
        return READY_CONDITION.is_false(dependencies.reason, dependencies.message)
    return READY_CONDITION.is_true("Ready", f"Version {version} is in force everywhere.")
