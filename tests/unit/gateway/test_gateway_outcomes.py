"""What became of an arm's runs: counted, added up, small."""

import random
import statistics
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice_gateway.domain.experimenting.outcomes import Outcomes
from sluice_gateway.domain.experimenting.sketch import ACCURACY, Moments, Sketch
from sluice_gateway.domain.model import Decision, Principal, Report, Usage, Verdict
from sluice_gateway.domain.observing import EndedRun, groundedness
from sluice_gateway.domain.run import RunState

RUN = EndedRun(
    "run-1",
    Principal("acme"),
    "default",
    "1",
    RunState.ANSWERED,
    "",
    0.25,
    Usage(100, 20),
    experiment="trial",
    arm="new",
    groundedness=0.9,
)


def _outcomes(*runs: EndedRun) -> Outcomes:
    found = Outcomes()
    for run in runs:
        found.add(run)
    return found


def test_every_end_is_counted_once_and_by_its_kind():
    found = _outcomes(
        RUN,
        replace(RUN, state=RunState.DEGRADED, reason="rerank: UNAVAILABLE", groundedness=1.0),
        replace(RUN, state=RunState.FAILED, reason="generate: UPSTREAM_BUSY", groundedness=None),
        replace(RUN, state=RunState.FAILED, reason="journal: UNAVAILABLE", groundedness=None),
        replace(RUN, state=RunState.BLOCKED, blocked_at="guard_output", groundedness=0.0),
        replace(RUN, state=RunState.CANCELLED, reason="the caller went away", groundedness=None),
    )
    assert (found.requests, found.answered, found.degraded, found.cancelled) == (6, 1, 1, 1)
    assert found.errors == {"UPSTREAM_BUSY": 1, "UNAVAILABLE": 1}
    assert found.blocks == {"guard_output": 1}
    assert found.groundedness.mean == pytest.approx(1.9 / 3)
    assert found.groundedness_bins == [1, 0, 0, 0, 0, 0, 0, 0, 0, 2]
    # Only what was answered has a latency and tokens.
    assert (found.seconds.count, found.completion_tokens.count, found.prompt_tokens.mean) == (2, 2, 100)


def test_kinds_of_errors_are_bounded():
    failed = [replace(RUN, state=RunState.FAILED, reason=f"generate: KIND_{number}") for number in range(100)]
    found = _outcomes(*failed, failed[0])
    assert len(found.errors) <= 33
    assert found.errors.total() == 101
    assert found.errors["KIND_0"] == 2


def test_outcomes_survive_their_json_and_add_up():
    runs = [
        replace(
            RUN,
            state=random.Random(number).choice([RunState.ANSWERED, RunState.DEGRADED, RunState.BLOCKED]),
            blocked_at="guard_input",
            seconds=0.001 * (number + 1),
            usage=Usage(number, number * 2),
            groundedness=number / 40,
            unit_bucket=number * 7,
        )
        for number in range(40)
    ]
    whole = _outcomes(*runs)
    assert Outcomes.from_json(whole.as_json()) == whole
    merged = Outcomes()
    for part in (runs[:13], runs[13:], []):
        merged.merge(Outcomes.from_json(_outcomes(*part).as_json()))
    assert merged.seconds_sketch == whole.seconds_sketch
    assert (merged.requests, merged.blocks, merged.groundedness_bins) == (
        whole.requests,
        whole.blocks,
        whole.groundedness_bins,
    )
    for metric, groups in whole.groups.items():
        for group, sums in groups.sums.items():
            assert merged.groups[metric].sums[group] == pytest.approx(sums)
    for name in ("groundedness", "seconds", "prompt_tokens", "completion_tokens"):
        one, other = getattr(merged, name), getattr(whole, name)
        assert (one.count, one.mean, one.variance) == pytest.approx((other.count, other.mean, other.variance))


@given(st.lists(st.lists(st.floats(0, 1e6), max_size=20), max_size=5))
def test_moments_add_up_in_any_parts(parts: list[list[float]]):
    merged, values = Moments(), [value for part in parts for value in part]
    for part in parts:
        moments = Moments()
        for value in part:
            moments.add(value)
        merged.merge(moments)
    assert merged.count == len(values)
    if len(values) > 1:
        assert merged.mean == pytest.approx(statistics.fmean(values), rel=1e-9, abs=1e-9)
        assert merged.variance == pytest.approx(statistics.variance(values), rel=1e-6, abs=1e-6)


@pytest.mark.parametrize("share", [0.0, 0.5, 0.95, 0.99, 1.0])
def test_quantiles_are_within_their_accuracy_whatever_the_parts(share: float):
    values = np.random.default_rng(7).lognormal(-1, 1.5, 5000)
    parts = [Sketch() for _ in range(4)]
    for index, value in enumerate(values):
        parts[index % 4].add(float(value))
    merged = Sketch()
    for part in parts:
        merged.merge(part.bins)
    exact = np.quantile(values, share, method="lower")
    assert merged.quantile(share) == pytest.approx(exact, rel=ACCURACY * 1.001)


def test_sketch_stays_small_and_takes_anything():
    sketch = Sketch()
    for value in (0.0, -1.0, 1e-9, 1e12, float("inf"), *(1.1**power for power in range(-200, 200))):
        sketch.add(value)
    assert len(sketch.bins) < 1200
    assert sketch.count == 405
    assert Sketch().quantile(0.5) == 0.0


@pytest.mark.parametrize(
    ("reports", "expected"),
    [
        ([("pii", "scanned", 0.9), ("groundedness", "scanned", 0.25)], 0.75),
        ([("groundedness", "partial", 0.25)], None),
        ([("groundedness", "skipped", 0.0)], None),
        ([("groundedness", "failed", 0.0)], None),
        ([], None),
    ],
)
def test_groundedness_is_what_the_gate_has_read_to_the_end(
    reports: list[tuple[str, str, float]], expected: float | None
):
    made = tuple(
        Report(name, "1", "1", state, score, 0.5, Decision.ALLOW, 1.0) for name, state, score in reports
    )
    assert groundedness(Verdict(Decision.ALLOW, reports=made)) == expected
