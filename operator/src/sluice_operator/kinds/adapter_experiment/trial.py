"""Which trial an experiment is in, and how long that has been going on. Pure.

A verdict is about one question: these arms, these versions of their adapters, these weights, these bounds. When any of
them changes, the runs until then say nothing of the new question, and a new trial begins. The gateway counts by the
hour: a first trial takes in the hour in which it begins, since nothing was counted before; a later one starts at the
next whole hour, so that no run of the one before is mixed in.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace

from sluice_api.objects.adapter_experiment import AdapterExperimentSpec
from sluice_api.statuses.adapter_experiment import AdapterExperimentStatus, Verdict
from sluice_operator.kinds.adapter_experiment import times
from sluice_operator.kinds.adapter_experiment.arms import ArmView

#: Seconds after which every gateway splits by a new spec, with much to spare.
_SPREADING = 60.0


@dataclass(frozen=True, slots=True)
class Trial:
    """The trial as it stands. All times are seconds since the epoch."""

    id: str = ""
    """Empty where none has begun."""
    since: float | None = None
    """From when on runs count; of the last trial where none has begun after it."""
    started_at: float = 0.0
    halted_at: float | None = None
    """Since when its clock stands."""
    halted_seconds: int = 0
    verdict: Verdict | None = None

    def lasted(self, now: float) -> float:
        """Seconds for which its clock has run."""
        begun = max(self.started_at, self.since or 0.0)
        until = now if self.halted_at is None else self.halted_at
        return max(0.0, until - begun - self.halted_seconds)


def of(
    spec: AdapterExperimentSpec,
    arms: Sequence[ArmView],
    status: AdapterExperimentStatus,
    now: float,
    *,
    accepted: bool,
) -> Trial:
    """The trial that a pass is in.

    Args:
        status: As the last pass left it.
        accepted: Whether the experiment can be in force.
    """
    known, (question, versions) = recorded(status), _fingerprint(spec, arms)
    asked, _, tried = known.id.partition(".")
    if known.id and asked == question and known.verdict is not None:
        return known
    going = accepted and not spec.paused and all(arm.ready for arm in arms)
    changed = asked != question or (going and tried != versions)
    if known.id and not changed:
        return _clocked(known, now, going=going)
    if not going:
        return Trial(since=known.since)
    since = times.hour_of(now) if known.since is None else times.next_hour(now + _SPREADING)
    return Trial(id=f"{question}.{versions}", since=since, started_at=now)


def recorded(status: AdapterExperimentStatus) -> Trial:
    """The trial that a status tells of."""
    return Trial(
        id=status.trial,
        since=times.read(status.since),
        started_at=times.read(status.started_at) or 0.0,
        halted_at=times.read(status.halted_at),
        halted_seconds=status.halted_seconds,
        verdict=status.verdict if status.trial else None,
    )


def kept(trial: Trial) -> dict[str, object]:
    """What a status has of a trial, by field."""
    return {
        "trial": trial.id,
        "since": "" if trial.since is None else times.written(trial.since),
        "started_at": times.written(trial.started_at) if trial.id else "",
        "halted_at": "" if trial.halted_at is None else times.written(trial.halted_at),
        "halted_seconds": trial.halted_seconds,
        "verdict": trial.verdict,
    }


def _clocked(trial: Trial, now: float, *, going: bool) -> Trial:
    if not going:
        return trial if trial.halted_at is not None else replace(trial, halted_at=now)
    if trial.halted_at is None:
        return trial
    halted = trial.halted_seconds + max(0, round(now - max(trial.halted_at, trial.since or 0.0)))
    return replace(trial, halted_at=None, halted_seconds=halted)


def _fingerprint(spec: AdapterExperimentSpec, arms: Sequence[ArmView]) -> tuple[str, str]:
    """Of the question, and of the versions that are in the arms."""
    question = spec.model_dump(
        mode="json",
        exclude_defaults=True,  # a later version's further fields must begin no trial anew
        include={
            "model_server_ref",
            "model_name",
            "unit",
            "salt",
            "arms",
            "guard_metrics",
            "min_samples_per_arm",
            "verdict",
        },
    )
    return _hash(question), _hash([[arm.name, arm.model] for arm in arms])


def _hash(content: object) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:12]
