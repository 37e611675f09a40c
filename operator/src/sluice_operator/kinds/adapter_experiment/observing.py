"""What people and other kinds are told of an experiment. Pure."""

from sluice_api.objects.adapter_experiment import AdapterExperimentSpec, Decommission, Method
from sluice_api.statuses.adapter_experiment import (
    ANALYSED,
    ARMS_READY,
    DECIDED,
    DECOMMISSIONED,
    READY,
    AdapterExperimentStatus,
    ArmStatus,
    Decision,
    Verdict,
)
from sluice_api.statuses.base import Condition, Truth, stalled
from sluice_operator.kinds.adapter_experiment import times
from sluice_operator.kinds.adapter_experiment.arms import ArmView
from sluice_operator.kinds.adapter_experiment.context import Context, Look
from sluice_operator.kinds.adapter_experiment.settling import Settled
from sluice_operator.kinds.adapter_experiment.trial import kept
from sluice_operator.kinds.adapter_experiment.verdicts import differing
from sluice_operator.outcomes.protocol import Report


def status_of(spec: AdapterExperimentSpec, settled: Settled, context: Context) -> AdapterExperimentStatus:
    """The whole status."""
    trial, verdict, look = settled.trial, settled.trial.verdict, context.look
    base_model = context.around.server.spec.base_model if context.around.server else ""
    conditions = (
        settled.accepted,
        _arms_ready(settled),
        _analysed(spec, settled, context),
        _decided(spec, settled),
        _decommissioned(spec, settled),
    )
    shown = look.report if look is not None and look.since == trial.since else None
    before = {arm.name: arm for arm in context.status.arms} if trial.id == context.status.trial else {}
    return AdapterExperimentStatus(
        phase=settled.phase,
        promoted=settled.promoted,
        promoted_at=times.written(settled.promoted_at) if settled.promoted else "",
        decided_at=verdict.at if verdict else "",
        arms=tuple(_arm(arm, base_model, shown, before.get(arm.name)) for arm in settled.arms),
        retired=settled.losers.retired,
        conditions=(
            *conditions,
            *_summed(_ready(settled, {each.type: each for each in conditions}), conditions),
        ),
    ).model_copy(update=kept(trial))


#: Reasons that a person has to do something about.
_LASTING = {"NotAccepted", "BreachPaused", "AdapterChanged", "NoGateway", "KeyRefused", "AnswerUnreadable"}


def _summed(ready: Condition, conditions: tuple[Condition, ...]) -> tuple[Condition, ...]:
    """`Ready`, and `Stalled` where it will not come to be by itself."""
    reason = ready.reason
    if reason == "NotAnalysed":
        reason = next(each.reason for each in conditions if each.type == ANALYSED.name)
    if ready.status is Truth.TRUE or reason not in _LASTING:
        return (ready,)
    return ready, stalled(reason, ready.message)


def _arm(view: ArmView, base_model: str, report: Report | None, before: ArmStatus | None) -> ArmStatus:
    arm = view.arm
    shown = ArmStatus(
        name=arm.name, role=arm.role, weight=arm.weight, model=view.model or base_model, ready=view.ready
    )
    told = next((each for each in report.arms if each.name == arm.name), None) if report else None
    if told is not None and told.model_name == view.model:
        outcomes = told.outcomes
        numbers = {
            "runs": outcomes.requests,
            "errors": outcomes.errors.total,
            "p95": outcomes.seconds.p95,
            "groundedness": outcomes.groundedness.mean,
            "feedback": outcomes.feedback.mean,
        }
        return shown.model_copy(update=numbers)
    if before is not None and before.model == shown.model:  # the last that was heard
        heard = before.model_dump(include={"runs", "errors", "p95", "groundedness", "feedback"})
        return shown.model_copy(update=heard)
    return shown


def _arms_ready(settled: Settled) -> Condition:
    if settled.accepted.status is not Truth.TRUE:
        return ARMS_READY.is_unknown("NotAccepted", "See Accepted.")
    if resting := settled.resting:
        why = "; ".join(arm.why.rstrip(".") for arm in resting)
        traffic = "All traffic is sent there." if settled.promoted else "Until then control has their units."
        return ARMS_READY.is_false("ArmsResting", f"{why}. {traffic}")
    return ARMS_READY.is_true("Ready", "Every arm that traffic goes to is ready.")


def _analysed(spec: AdapterExperimentSpec, settled: Settled, context: Context) -> Condition:
    trial, look = settled.trial, context.look
    if trial.verdict is not None:
        return ANALYSED.is_true("Over", "There is a verdict; see Decided.")
    if not trial.id:
        if spec.paused:
            return ANALYSED.is_unknown("Paused", "spec.paused is set, and nothing has been counted yet.")
        return ANALYSED.is_unknown("NotStarted", "The trial begins once every arm is ready.")
    since = times.written(trial.since or 0.0)
    if (trial.since or 0.0) > context.now:
        return ANALYSED.is_unknown(
            "CountingLater",
            f"Runs count from {since} on: the experiment was changed, and statistics are of whole hours.",
        )
    if look is None or look.since != trial.since:
        return ANALYSED.is_unknown("NotStarted", "The gateway has not been asked yet.")
    if look.report is None:
        return ANALYSED.is_false(look.reason, look.message)
    if fields := differing(spec, settled.arms, look.report):
        return ANALYSED.is_false(
            "GatewayBehind",
            f"The gateway still has another {', '.join(fields)} in force. Within seconds it has this one; where not, "
            "see that the gateway follows this operator's snapshots.",
        )
    if spec.paused:
        return ANALYSED.is_true("Paused", "spec.paused is set: nothing is decided until it is not.")
    return ANALYSED.is_true("Analysed", f"Runs since {since}: {_runs(look)}.")


def _runs(look: Look) -> str:
    arms = look.report.arms if look.report else ()
    return ", ".join(f"{arm.outcomes.requests} of {arm.name}" for arm in arms)


def _decided(spec: AdapterExperimentSpec, settled: Settled) -> Condition:
    verdict = settled.trial.verdict
    if verdict is None:
        return DECIDED.is_false("NotYet", _open(spec))
    why, after = _why(verdict), _changed(settled)
    after = f" {after}" if after else ""
    match verdict.decision:
        case Decision.SUCCESS if settled.promoted:
            return DECIDED.is_true(
                "Promoted",
                f"{verdict.arm} has all traffic. {why} Commit it in place of {spec.model_name}, then delete this "
                f"experiment.{after}",
            )
        case Decision.SUCCESS:
            return DECIDED.is_true(
                "Held",
                f"{verdict.arm} has won; traffic is split on, since onSuccess is Hold. {why} Set onSuccess: Promote, "
                f"or commit it and delete this experiment.{after}",
            )
        case Decision.BREACH if settled.promoted:
            return DECIDED.is_true(
                "RolledBack", f"{settled.promoted} has all traffic: {verdict.arm} broke a bound. {why}{after}"
            )
        case Decision.BREACH:
            return DECIDED.is_true(
                "BreachPaused",
                f"{verdict.arm} broke a bound; traffic is split on, since onBreach is Pause. {why} Set onBreach: "
                f"Rollback, or change the weights.{after}",
            )
    reason = "Undecided" if verdict.method is Method.FIXED_SAMPLE and _looked(spec, verdict) else "TimeOver"
    return DECIDED.is_true(
        reason, f"No arm has won or lost; traffic is split on. {why} To begin anew, change salt.{after}"
    )


def _open(spec: AdapterExperimentSpec) -> str:
    if not spec.guard_metrics:
        return "There are no guardMetrics: nothing can win or lose. Set some, or decide for yourself."
    if spec.verdict.method is Method.FIXED_SAMPLE:
        return f"It is decided once every arm has {spec.min_samples_per_arm} runs."
    return f"No bound is surely broken, and none is met before {spec.min_samples_per_arm} runs in each arm."


def _why(verdict: Verdict) -> str:
    return " ".join(verdict.reasons)[:4096]


def _looked(spec: AdapterExperimentSpec, verdict: Verdict) -> bool:
    """Whether there were the runs for the one look, so that not time has ended it."""
    return all(each.runs >= spec.min_samples_per_arm for each in verdict.samples)


def _changed(settled: Settled) -> str:
    """What is not as it was when the verdict was reached."""
    verdict = settled.trial.verdict
    winner = next((arm for arm in settled.arms if verdict and arm.name == verdict.arm), None)
    if verdict is None or winner is None or winner.model == verdict.model:
        return ""
    return (
        f"{winner.name} was {verdict.model} then, and is {winner.model} now, of which the verdict says nothing. "
        "Change salt to try it."
    )


def _decommissioned(spec: AdapterExperimentSpec, settled: Settled) -> Condition:
    losers = settled.losers
    if not settled.promoted:
        return DECOMMISSIONED.is_unknown("NotYet", "No arm has all traffic.")
    if not losers.some:
        return DECOMMISSIONED.is_true("NothingLeft", "No adapter has lost.")
    if spec.decommission is Decommission.KEEP:
        return DECOMMISSIONED.is_false(
            "Kept",
            f"LoRAAdapter {', '.join(losers.kept)} may be deleted together with this experiment, unless something else "
            "uses it; it holds its slots until then. With decommission: Retire they are freed now.",
        )
    if losers.used:
        used = "; ".join(f"LoRAAdapter {name} by {by}" for name, by in losers.used)
        return DECOMMISSIONED.is_false("StillUsed", f"Still used, and so still loaded: {used}.")
    if losers.waiting:
        until = f" at {times.written(losers.until)}" if losers.until else ""
        return DECOMMISSIONED.is_false(
            "Waiting",
            f"LoRAAdapter {', '.join(losers.waiting)} is unloaded{until}, when its rollbackWindow has passed and "
            f"{settled.promoted} is ready.",
        )
    return DECOMMISSIONED.is_true(
        "Retired",
        f"LoRAAdapter {', '.join(losers.retired)} is unloaded and may be deleted together with this experiment.",
    )


def _ready(settled: Settled, found: dict[str, Condition]) -> Condition:
    accepted, arms, analysed = found["Accepted"], found["ArmsReady"], found["Analysed"]
    decided = found["Decided"]
    if accepted.status is not Truth.TRUE:
        return READY.is_false("NotAccepted", accepted.message)
    if decided.reason == "BreachPaused":
        return READY.is_false("BreachPaused", decided.message)
    if arms.status is not Truth.TRUE:
        return READY.is_false("ArmsResting", arms.message)
    verdict = settled.trial.verdict
    if verdict and settled.promoted == verdict.arm and (changed := _changed(settled)):
        return READY.is_false("AdapterChanged", changed)
    if decided.status is Truth.TRUE:
        return READY.is_true("Decided", decided.message)
    if analysed.reason == "Paused":
        return READY.is_true("Paused", analysed.message)
    if analysed.status is Truth.FALSE:
        return READY.is_false("NotAnalysed", analysed.message)
    return READY.is_true("Running", analysed.message)
