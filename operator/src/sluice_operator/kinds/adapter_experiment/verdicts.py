"""When a trial is decided, and how. Pure.

The gateway has the statistics: it says which bounds are met and broken, by intervals of the spec's method and error
rate. Here is only when its word is taken: at any look where the method is sequential, at the first look with enough
runs in every arm where it is that of a fixed sample, and never where what it reports on is not what the spec asks.
"""

from collections.abc import Iterator, Sequence

from sluice_api.objects.adapter_experiment import AdapterExperimentSpec, Method, Role
from sluice_api.statuses.adapter_experiment import Decision, Difference, Samples, Verdict
from sluice_operator.kinds.adapter_experiment import times
from sluice_operator.kinds.adapter_experiment.arms import ArmView
from sluice_operator.kinds.adapter_experiment.context import Look
from sluice_operator.kinds.adapter_experiment.trial import Trial
from sluice_operator.outcomes.protocol import Check, Report


def decide(
    spec: AdapterExperimentSpec, arms: Sequence[ArmView], trial: Trial, look: Look | None
) -> Verdict | None:
    """The trial's verdict: the one that stands, else what the last look gives; none yet where that is open."""
    if trial.verdict is not None:
        return trial.verdict
    if not trial.id or trial.halted_at is not None or look is None or look.report is None:
        return None
    if look.since != trial.since or look.at < trial.started_at or differing(spec, arms, look.report):
        return None
    found = _decision(spec, look.report)
    if found is None and trial.lasted(look.at) >= spec.max_duration:
        found = Decision.INCONCLUSIVE
    return None if found is None else _verdict(spec, arms, look.at, look.report, found)


def enough(spec: AdapterExperimentSpec, report: Report) -> bool:
    """True where every arm has the runs that one look needs."""
    return all(arm.outcomes.requests >= spec.min_samples_per_arm for arm in report.arms)


def differing(spec: AdapterExperimentSpec, arms: Sequence[ArmView], report: Report) -> tuple[str, ...]:
    """In what the gateway has another experiment in force than the spec asks for, in words."""
    treatments = [arm.name for arm in spec.arms if arm.role is Role.TREATMENT]
    pairs = (
        ("modelServerRef", spec.model_server_ref, report.model_server),
        ("modelName", spec.model_name, report.model_name),
        ("unit", str(spec.unit), report.unit),
        (
            "arms",
            [(arm.name, str(arm.role), arm.weight) for arm in spec.arms],
            [(arm.name, arm.role, arm.weight) for arm in report.arms],
        ),
        (
            "versions of adapters",
            {arm.name: arm.model for arm in arms},
            {arm.name: arm.model_name for arm in report.arms},
        ),
        ("minSamplesPerArm", spec.min_samples_per_arm, report.min_samples_per_arm),
        ("verdict", (str(spec.verdict.method), spec.verdict.alpha), (report.method, report.alpha)),
        (
            "guardMetrics",
            sorted(_bounds(spec, treatments)),
            sorted(_bound_of(check) for check in report.guard_metrics),
        ),
    )
    return tuple(field for field, asked, found in pairs if asked != found)


def _decision(spec: AdapterExperimentSpec, report: Report) -> Decision | None:
    treatments = {arm.name for arm in spec.arms if arm.role is Role.TREATMENT}
    known = report.suggestion.arm in treatments
    if spec.verdict.method is Method.FIXED_SAMPLE and not enough(spec, report):
        return None
    if known and report.suggestion.verdict == "breach":
        return Decision.BREACH
    if known and report.suggestion.verdict == "success":
        return Decision.SUCCESS
    return Decision.INCONCLUSIVE if spec.verdict.method is Method.FIXED_SAMPLE else None


def _verdict(
    spec: AdapterExperimentSpec, arms: Sequence[ArmView], at: float, report: Report, decision: Decision
) -> Verdict:
    arm = "" if decision is Decision.INCONCLUSIVE else report.suggestion.arm
    about = [check for check in report.guard_metrics if not arm or check.arm == arm]
    if decision is Decision.BREACH:
        about = [check for check in about if check.standing == "broken"]
    return Verdict(
        decision=decision,
        arm=arm,
        model=next((view.model for view in arms if view.name == arm), ""),
        at=times.written(at),
        method=spec.verdict.method,
        alpha=spec.verdict.alpha,
        samples=tuple(Samples(arm=each.name, runs=each.outcomes.requests) for each in report.arms),
        reasons=tuple(_sentence(check) for check in about)[:64] or ("There are no guard metrics.",),
        differences=_differences(spec, report),
    )


def _differences(spec: AdapterExperimentSpec, report: Report) -> tuple[Difference, ...]:
    sequential = spec.verdict.method is Method.SEQUENTIAL
    found = []
    for each in report.comparisons:
        if each.difference.value is None:
            continue
        lower, upper = each.always_valid if sequential else each.difference.interval
        found.append(
            Difference(
                arm=each.arm,
                metric=each.metric,
                aggregation=each.aggregation,
                value=each.difference.value,
                lower=lower,
                upper=upper,
            )
        )
    return tuple(found)[:64]


_STANDINGS = {
    "met": "is met",
    "broken": "is broken",
    "open": "is open: it lies within the interval",
    "too_few": "is open: there are too few samples",
}


def _sentence(check: Check) -> str:
    """`errorRate (rate) of new is 0.2 (0.15 to 0.26, 1000 samples): max 0.05 is broken.`"""
    gain = "the gain over control of " if check.bound == "minDelta" else ""
    what = f"{gain}{check.metric} ({check.aggregation}) of {check.arm}"
    found = check.estimate
    if found is None or found.value is None:
        measured = "has no samples"
    else:
        lower, upper = (_number(end, sign) for end, sign in zip(found.interval, "-+", strict=True))
        measured = f"is {found.value:.4g} ({lower} to {upper}, {found.samples} samples)"
    sentence = f"{what} {measured}: {check.bound} {check.limit:g} {_STANDINGS[check.standing]}."
    return sentence[0].upper() + sentence[1:] if gain else sentence


def _number(end: float | None, sign: str) -> str:
    return f"{sign}∞" if end is None else f"{end:.4g}"


def _bounds(
    spec: AdapterExperimentSpec, treatments: Sequence[str]
) -> Iterator[tuple[str, str, str, str, float]]:
    for arm in treatments:
        for guard in spec.guard_metrics:
            for bound, limit in (("max", guard.max), ("minDelta", guard.min_delta)):
                if limit is not None:
                    yield arm, str(guard.metric), str(guard.aggregation), bound, limit


def _bound_of(check: Check) -> tuple[str, str, str, str, float]:
    return check.arm, check.metric, check.aggregation, check.bound, check.limit
