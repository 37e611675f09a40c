"""Which arm of an experiment a run goes to. Pure, and the same in every replica and after every restart.

Weighted rendezvous: each arm draws a waiting time of rate `weight` from a hash of the unit and the arm's name, and the
first wins, so that shares are exactly the weights'. When weights change, a unit moves only into an arm whose weight has
grown by a larger factor than its own arm's: never between arms that stayed as they were, and never out of one that grew
most. Nothing without memory moves fewer by more than a factor of two (Angel and Spinka 2019, arXiv:1903.00632).
"""

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from sluice_api.objects.adapter_experiment import Role as ArmRole
from sluice_api.objects.adapter_experiment import Unit
from sluice_api.objects.pipeline import PipelineSpec
from sluice_api.snapshot import CompiledExperiment, Snapshot
from sluice_gateway.domain.access import Role, require
from sluice_gateway.domain.model import RunRequest
from sluice_servicekit.errors import InvalidArgument

#: Buckets that the journal tells units apart by; far too few to tell who a unit is.
BUCKETS = 10_000

#: Subjects that are nobody in particular: all callers of an open gateway.
_NOBODY = ("", "anonymous")


class How(StrEnum):
    """Why a run went to its arm."""

    DEALT = "dealt"
    """By its unit. Only these runs count in the statistics."""
    PINNED = "pinned"
    """The request named the arm."""
    PROMOTED = "promoted"
    """The experiment has its verdict."""
    RESTING = "resting"
    """To control, since the adapter of the unit's own arm is not ready."""


@dataclass(frozen=True, slots=True)
class Assignment:
    """A run's arm."""

    experiment: str
    arm: str
    model_name: str
    """The model or adapter that writes the answer; the server's base model when empty."""
    unit: Unit
    """What the arm sticks to. `request` where the run did not say what it should stick to."""
    bucket: int
    """Of the unit, 0 to 9999."""
    how: How = How.DEALT
    passed_over: str = ""
    """The adapter of the unit's own arm, where it is not ready."""

    @property
    def counted(self) -> bool:
        """True where the run's outcome is part of the comparison."""
        return self.how is How.DEALT

    @property
    def key(self) -> str:
        """Tells answers of one arm and model from all others: a part of a cache's key."""
        return json.dumps([self.experiment, self.arm, self.model_name])

    def detail(self) -> dict[str, object]:
        """What the journal keeps of it."""
        return {
            "name": self.experiment,
            "arm": self.arm,
            "model_name": self.model_name,
            "unit": str(self.unit),
            "bucket": self.bucket,
            "how": str(self.how),
            **({"passed_over": self.passed_over} if self.passed_over else {}),
        }


def resolve_arm(
    snapshot: Snapshot, pipeline: PipelineSpec, request: RunRequest, run_id: str
) -> Assignment | None:
    """The arm of a run that is to start; None where no experiment splits its model.

    Raises:
        InvalidArgument: the request pins an arm that there is not.
        PermissionDenied: it pins one and its principal is no admin.
    """
    step = pipeline.steps.generate
    found = snapshot.experiment_on(step.model_server_ref, step.model_name)
    if request.arm:
        require(request.principal, Role.ADMIN)
        _check_pinned(request.arm, found[1] if found else None)
    return None if found is None else _assigned(*found, request, run_id)


def arm_of(unit: bytes, weights: Mapping[str, int]) -> str:
    """The arm that a unit is dealt to; weights need not add up to anything.

    Raises:
        ValueError: no weight is above zero.
    """
    return min(
        (name for name, weight in weights.items() if weight > 0),
        key=lambda name: -math.log(_uniform(unit, name)) / weights[name],
    )


def unit_digest(salt: str, kind: Unit, *parts: str) -> bytes:
    """What a unit is known by."""
    content = json.dumps([salt, str(kind), *parts]).encode()
    return hashlib.blake2b(content, digest_size=16).digest()


def _assigned(name: str, experiment: CompiledExperiment, request: RunRequest, run_id: str) -> Assignment:
    spec = experiment.spec
    kind, *parts = _unit(spec.unit, request, run_id)
    unit = unit_digest(spec.salt or name, Unit(kind), *parts)
    arm, how, passed_over = arm_of(unit, {arm.name: arm.weight for arm in spec.arms}), How.DEALT, ""
    if request.arm:
        arm, how = request.arm, How.PINNED
    elif experiment.promoted:
        arm, how = experiment.promoted, How.PROMOTED
    elif arm in experiment.resting:
        control = next(arm for arm in spec.arms if arm.role is ArmRole.CONTROL)
        own = next(each for each in spec.arms if each.name == arm)
        if own is not control:
            arm, how, passed_over = control.name, How.RESTING, own.adapter_ref or ""
    bucket = int.from_bytes(unit[:8], "big") % BUCKETS
    return Assignment(name, arm, experiment.models[arm], Unit(kind), bucket, how, passed_over)


def _unit(kind: Unit, request: RunRequest, run_id: str) -> tuple[str, ...]:
    """The kind of unit and what it is. A user or session is one of its tenant's only."""
    tenant, subject = request.principal.tenant, request.principal.subject
    if kind is Unit.TENANT:
        return kind, tenant
    named = {
        Unit.USER: request.user or ("" if subject in _NOBODY else subject),
        Unit.SESSION: request.session,
        Unit.REQUEST: "",
    }[kind]
    return (kind, tenant, named) if named else (Unit.REQUEST, run_id)


def _uniform(unit: bytes, arm: str) -> float:
    """In (0, 1), never its ends: 52 bits and a half are exact in a float."""
    draw = hashlib.blake2b(arm.encode(), key=unit, digest_size=8).digest()
    return float(((int.from_bytes(draw, "big") >> 12) + 0.5) / (1 << 52))


def _check_pinned(arm: str, experiment: CompiledExperiment | None) -> None:
    if experiment is None:
        raise InvalidArgument("x-sluice-arm names an arm, but no experiment splits this model", field="arm")
    if arm not in experiment.models:
        known = ", ".join(experiment.models)
        raise InvalidArgument(f"there is no arm {arm!r}; there is: {known}", field="arm")
