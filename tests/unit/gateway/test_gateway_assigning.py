"""Which arm a run goes to: exact shares, sticky, and nobody moves without need when weights change."""

import json
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chisquare

from sluice_api.objects.adapter_experiment import Unit
from sluice_api.objects.model_server import External, ModelServerSpec
from sluice_api.objects.pipeline import PipelineSpec
from sluice_api.objects.steps import GenerateStep, RewriteStep, Steps
from sluice_api.snapshot import Snapshot
from sluice_gateway.domain.experimenting.assigning import (
    Assignment,
    How,
    arm_of,
    resolve_arm,
    unit_digest,
)
from sluice_gateway.domain.model import Message, Principal, RunRequest
from sluice_servicekit.errors import InvalidArgument, PermissionDenied
from support.experiments import experiment

ACME = Principal("acme")
ADMIN = Principal("acme", "root", ("admin",))


def _unit(number: int) -> bytes:
    return unit_digest("salt", Unit.USER, "acme", f"user-{number}")


def test_shares_are_the_weights():
    weights, count = {"a": 60, "b": 25, "c": 10, "d": 4, "e": 1, "f": 0}, 100_000
    dealt = Counter(arm_of(_unit(number), weights) for number in range(count))
    assert dealt["f"] == 0
    shares = {arm: weight for arm, weight in weights.items() if weight}
    expected = [count * weight / 100 for weight in shares.values()]
    assert chisquare([dealt[arm] for arm in shares], expected).pvalue > 0.01


def test_experiments_deal_independently_of_each_other():
    weights, count = {"a": 50, "b": 50}, 20_000
    both = Counter(
        (
            arm_of(unit_digest("one", Unit.USER, str(number)), weights),
            arm_of(unit_digest("other", Unit.USER, str(number)), weights),
        )
        for number in range(count)
    )
    assert chisquare(list(both.values()), [count / 4] * 4).pvalue > 0.01


ARMS = st.dictionaries(
    st.text("abcdefgh", min_size=1, max_size=3), st.integers(0, 100), min_size=2, max_size=8
).filter(lambda weights: any(weights.values()))


@given(ARMS, st.binary(min_size=16, max_size=16))
def test_arm_without_weight_gets_nothing(weights: dict[str, int], unit: bytes):
    assert weights[arm_of(unit, weights)] > 0


@given(st.data(), ARMS, st.binary(min_size=16, max_size=16))
def test_more_weight_only_draws_units_in(data: st.DataObject, weights: dict[str, int], unit: bytes):
    grown = data.draw(st.sampled_from(sorted(weights)))
    before = arm_of(unit, weights)
    after = arm_of(unit, {**weights, grown: weights[grown] + data.draw(st.integers(1, 100))})
    assert after in (before, grown)


@given(st.data(), ARMS, st.binary(min_size=16, max_size=16))
def test_unit_moves_only_to_an_arm_that_has_grown_by_more(
    data: st.DataObject, weights: dict[str, int], unit: bytes
):
    later = data.draw(st.fixed_dictionaries({name: st.integers(0, 100) for name in weights}))
    if not any(later.values()):
        return
    before, after = arm_of(unit, weights), arm_of(unit, later)
    # Between two arms that have stayed as they were, or grown alike, nobody moves.
    assert before == after or later[after] * weights[before] > later[before] * weights[after]


def test_middle_arm_that_grows_takes_from_both_sides_and_leaves_the_rest():
    before, after = {"a": 40, "b": 20, "c": 40}, {"a": 20, "b": 40, "c": 40}
    moves = Counter((arm_of(_unit(number), before), arm_of(_unit(number), after)) for number in range(20_000))
    moved = {pair: count for pair, count in moves.items() if pair[0] != pair[1]}
    assert set(moved) == {("a", "b"), ("a", "c"), ("c", "b")}
    # Twice the least that must move, 20 %, is the most; independent dealing would move 64 %.
    assert 0.2 < sum(moved.values()) / 20_000 < 0.34


def test_arms_of_units_are_what_they_were():
    """A release that deals anew would move the users of every experiment that goes on."""
    weights = {"base": 50, "new": 30, "newer": 20}
    dealt = "".join(arm_of(_unit(number), weights)[-1] for number in range(40))
    assert dealt == "erweeeeerrerwwrerrrwrrwwreeeweeeerrewwer"


def _snapshot(**changes: Any) -> Snapshot:
    server = ModelServerSpec(base_model="qwen", external=External(urls=("http://x/v1",)))
    return Snapshot(experiments={"trial": experiment(**changes)}, model_servers={"m": server})


def _pipeline(model: str = "support", rewrite: str | None = None) -> PipelineSpec:
    return PipelineSpec(
        knowledge_base_ref="default",
        guardrail_policy_ref="default",
        steps=Steps(
            generate=GenerateStep(model_server_ref="m", model_name=model),
            rewrite=None if rewrite is None else RewriteStep(model_server_ref="m", model_name=rewrite),
        ),
    )


def _request(principal: Principal = ACME, **changes: str) -> RunRequest:
    return replace(RunRequest("default", principal, (Message("user", "How long?"),)), **changes)


def _resolved(request: RunRequest, run_id: str = "run", **changes: object) -> Assignment:
    found = resolve_arm(_snapshot(**changes), _pipeline(), request, run_id)
    assert found is not None
    return found


def _arms(requests: list[RunRequest], **changes: object) -> set[str]:
    """Of each request in runs of its own."""
    return {
        _resolved(request, f"run-{number}", **changes).arm for number in range(16) for request in requests
    }


@pytest.mark.parametrize(
    ("unit", "same", "used"),
    [
        (Unit.TENANT, [_request(Principal("acme", "a"), user="x"), _request(Principal("acme"))], Unit.TENANT),
        (
            Unit.USER,
            [_request(user="x"), _request(Principal("acme", "bot"), user="x", session="s")],
            Unit.USER,
        ),
        (Unit.USER, [_request(Principal("acme", "bot"))], Unit.USER),
        (Unit.SESSION, [_request(session="s", user="x"), _request(session="s", user="y")], Unit.SESSION),
    ],
)
def test_unit_sticks_to_its_arm(unit: Unit, same: list[RunRequest], used: Unit):
    assert len(_arms(same, unit=unit)) == 1
    assert {_resolved(request, unit=unit).unit for request in same} == {used}


@pytest.mark.parametrize(
    ("unit", "request_"),
    [
        (Unit.REQUEST, _request(Principal("acme", "bot"), user="x", session="s")),
        (Unit.SESSION, _request(user="x")),
        (Unit.USER, _request(Principal("acme", "anonymous"))),
        (Unit.USER, _request()),
    ],
)
def test_run_that_does_not_name_its_unit_is_dealt_by_itself(unit: Unit, request_: RunRequest):
    assert _arms([request_], unit=unit) == {"base", "new"}
    assert _resolved(request_, unit=unit).unit is Unit.REQUEST


def test_users_of_two_tenants_are_two():
    dealt = {
        (tenant, _resolved(_request(Principal(tenant), user=f"user-{number}")).arm, number)
        for tenant in ("acme", "globex")
        for number in range(32)
    }
    assert {(arm, number) for tenant, arm, number in dealt if tenant == "acme"} != {
        (arm, number) for tenant, arm, number in dealt if tenant == "globex"
    }


def test_no_experiment_no_arm():
    for pipeline in (_pipeline("other"), _pipeline("")):
        assert resolve_arm(_snapshot(), pipeline, _request(), "run") is None
    assert resolve_arm(Snapshot(), _pipeline(), _request(), "run") is None


def test_verdict_is_obeyed_by_all():
    for arm in ("base", "new"):
        requests = [_request(user=f"user-{number}") for number in range(16)]
        assert _arms(requests, promoted=arm) == {arm}
        assert not _resolved(requests[0], promoted=arm).counted


def test_units_of_an_arm_that_rests_go_to_control_and_count_nowhere():
    requests = [_request(user=f"user-{number}") for number in range(32)]
    rested = [_resolved(request, resting=("new",)) for request in requests]
    dealt = [_resolved(request) for request in requests]
    assert {each.arm for each in rested} == {"base"}
    assert [each.counted for each in rested] == [each.arm == "base" for each in dealt]


def test_admin_pins_an_arm_and_it_counts_nowhere():
    for arm, model in (("base", ""), ("new", "support-r2")):
        found = _resolved(_request(ADMIN, arm=arm), promoted="base")
        assert (found.arm, found.model_name, found.how, found.counted) == (arm, model, How.PINNED, False)
    with pytest.raises(PermissionDenied):
        _resolved(_request(Principal("acme", "bot", ("writer",)), arm="new"))
    with pytest.raises(InvalidArgument, match="no arm 'newest'; there is: base, new"):
        _resolved(_request(ADMIN, arm="newest"))
    with pytest.raises(InvalidArgument, match="no experiment splits this model"):
        resolve_arm(_snapshot(), _pipeline("other"), _request(ADMIN, arm="new"), "run")


def test_journal_holds_no_name_of_a_unit():
    found = _resolved(_request(Principal("acme", "bot"), user="nora.quill@example.com"))
    assert "nora" not in json.dumps(found.detail())
    assert 0 <= found.bucket < 10_000


def test_answers_of_two_arms_and_of_two_models_have_two_keys():
    one = _resolved(_request(user="x"))
    assert len({one.key, replace(one, arm="other").key, replace(one, model_name="other").key}) == 3


def test_another_salt_deals_anew():
    requests = [_request(user=f"user-{number}") for number in range(64)]
    dealt = {
        salt: [_resolved(request, salt=salt).arm for request in requests] for salt in ("", "trial", "anew")
    }
    assert dealt[""] == dealt["trial"]  # the experiment's name
    assert dealt[""] != dealt["anew"]
