"""Which trial an experiment is in, and how long that has gone on, whatever the order of halts and edits."""

from hypothesis import given
from hypothesis import strategies as st

from sluice_api.objects.adapter_experiment import AdapterExperimentSpec
from sluice_api.statuses.adapter_experiment import AdapterExperimentStatus
from sluice_operator.kinds.adapter_experiment import times, trial
from sluice_operator.kinds.adapter_experiment.arms import ArmView
from sluice_operator.kinds.adapter_experiment.trial import Trial
from support import experiment_objects as objects

START = 1_800_000_000.0


def _spec(**given: object) -> AdapterExperimentSpec:
    return AdapterExperimentSpec.model_validate(objects.spec(**given))


def _arms(spec: AdapterExperimentSpec, *, ready: bool, version: int = 1) -> tuple[ArmView, ...]:
    return tuple(
        ArmView(arm, None, f"{arm.name}--{version}" if arm.adapter_ref else "", ready=ready)
        for arm in spec.arms
    )


def _told(found: Trial) -> AdapterExperimentStatus:
    """What a status keeps of a trial."""
    return AdapterExperimentStatus(
        trial=found.id,
        since="" if found.since is None else times.written(found.since),
        started_at=times.written(found.started_at) if found.id else "",
        halted_at="" if found.halted_at is None else times.written(found.halted_at),
        halted_seconds=found.halted_seconds,
    )


@given(st.lists(st.tuples(st.integers(1, 5000), st.booleans()), max_size=12), st.booleans())
def test_clock_runs_exactly_while_every_arm_is_ready(steps: list[tuple[int, bool]], ready: bool) -> None:
    spec, now, status, ran = _spec(), START, AdapterExperimentStatus(), 0
    begun, going = False, ready
    found = trial.of(spec, _arms(spec, ready=going), status, now, accepted=True)
    for seconds, next_ready in steps:
        begun = begun or going
        ran += seconds if begun and going else 0
        now += seconds
        going = next_ready
        found = trial.of(spec, _arms(spec, ready=going), _told(found), now, accepted=True)
        assert bool(found.id) == (begun or going)
        assert (found.lasted(now) if found.id else 0) == ran


@given(
    st.lists(
        st.tuples(st.integers(1, 8000), st.sampled_from((40, 30, 20)), st.integers(1, 2), st.booleans()),
        max_size=10,
    )
)
def test_runs_of_one_trial_are_counted_in_no_other(steps: list[tuple[int, int, int, bool]]) -> None:
    now, status, first = START, AdapterExperimentStatus(), True
    for seconds, new, version, ready in steps:
        now += seconds
        spec = _spec(new=new)
        found = trial.of(spec, _arms(spec, ready=ready, version=version), status, now, accepted=True)
        if found.id and found.id == status.trial:
            assert times.written(found.since or 0.0) == status.since
        elif found.id:
            assert found.since is not None
            assert found.since % 3600 == 0
            # The first one counts its own hour; every other starts when all gateways have heard of it.
            assert (now - 3600 < found.since <= now) if first else found.since >= now + 60
            first = False
        status = _told(found)


def test_field_that_a_later_version_has_with_its_default_begins_nothing_anew() -> None:
    spec = _spec()
    found = trial.of(spec, _arms(spec, ready=True), AdapterExperimentStatus(), START, accepted=True)
    written = AdapterExperimentSpec.model_validate(spec.model_dump(mode="json", by_alias=True))
    again = trial.of(written, _arms(written, ready=True), _told(found), START + 60, accepted=True)
    assert (again.id, again.started_at) == (found.id, found.started_at)
