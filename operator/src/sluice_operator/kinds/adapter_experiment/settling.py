"""What a pass makes of what was gathered: the trial, its verdict and what follows from it. Pure."""

from dataclasses import dataclass, replace

from sluice_api.objects.adapter_experiment import (
    AdapterExperiment,
    AdapterExperimentSpec,
    OnBreach,
    OnSuccess,
)
from sluice_api.statuses.adapter_experiment import AdapterExperimentStatus, Decision, Phase
from sluice_api.statuses.base import Condition, Truth
from sluice_operator.kinds.adapter_experiment import times, trial
from sluice_operator.kinds.adapter_experiment.accepting import acceptance
from sluice_operator.kinds.adapter_experiment.arms import ArmView, control_of, views
from sluice_operator.kinds.adapter_experiment.context import Context, Look, Surroundings
from sluice_operator.kinds.adapter_experiment.retiring import Losers, losers
from sluice_operator.kinds.adapter_experiment.trial import Trial
from sluice_operator.kinds.adapter_experiment.verdicts import decide


@dataclass(frozen=True, slots=True)
class Settled:
    """How things stand at the end of a pass."""

    arms: tuple[ArmView, ...]
    accepted: Condition
    trial: Trial
    """With its verdict."""
    promoted: str
    promoted_at: float
    phase: Phase
    losers: Losers

    @property
    def resting(self) -> tuple[ArmView, ...]:
        """Arms that ought to have traffic and are not ready."""
        return tuple(arm for arm in self.arms if not arm.ready and self.promoted in ("", arm.name))


def trial_of(
    experiment: AdapterExperiment, status: AdapterExperimentStatus, around: Surroundings, now: float
) -> Trial:
    """The trial that a pass is in, before it has looked."""
    arms = views(experiment.spec, around.adapters)
    accepted = acceptance(experiment, around).status is Truth.TRUE
    return trial.of(experiment.spec, arms, status, now, accepted=accepted)


def settle(experiment: AdapterExperiment, context: Context) -> Settled:
    """Everything that plan and status are made of."""
    spec, status, now = experiment.spec, context.status, context.now
    arms = views(spec, context.around.adapters)
    current = trial_of(experiment, status, context.around, now)
    current = replace(current, verdict=decide(spec, arms, current, context.look))
    promoted = _promoted(spec, current)
    promoted_at = now
    if promoted and promoted == status.promoted and status.trial == current.id:
        promoted_at = times.read(status.promoted_at) or now
    return Settled(
        arms,
        acceptance(experiment, context.around),
        current,
        promoted,
        promoted_at,
        _phase(spec, current),
        losers(spec, arms, promoted, promoted_at, status.retired, context.around, now),
    )


def next_look(spec: AdapterExperimentSpec, current: Trial, look: Look | None, now: float) -> float | None:
    """Seconds until the gateway is to be asked; none where there is nothing to ask it."""
    if not current.id or current.verdict is not None or current.since is None:
        return None
    if current.since > now:
        return current.since - now
    if look is None or look.since != current.since or look.at < current.started_at:
        return 0.0
    return max(0.0, look.at + spec.analysis_interval - now)


def _promoted(spec: AdapterExperimentSpec, current: Trial) -> str:
    verdict = current.verdict
    if verdict is None:
        return ""
    if verdict.decision is Decision.SUCCESS and spec.on_success is OnSuccess.PROMOTE:
        return verdict.arm
    if verdict.decision is Decision.BREACH and spec.on_breach is OnBreach.ROLLBACK:
        return control_of(spec).name
    return ""


def _phase(spec: AdapterExperimentSpec, current: Trial) -> Phase:
    if current.verdict is None:
        if spec.paused:
            return Phase.PAUSED
        return Phase.RUNNING if current.id else Phase.PENDING
    match current.verdict.decision:
        case Decision.SUCCESS:
            return Phase.SUCCEEDED
        case Decision.BREACH:
            return Phase.ROLLED_BACK if spec.on_breach is OnBreach.ROLLBACK else Phase.PAUSED
    return Phase.INCONCLUSIVE
