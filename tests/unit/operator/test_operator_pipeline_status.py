"""What a pipeline's status says of how it stands."""

import pytest

from sluice_api.errors import Problem
from sluice_api.statuses.base import Condition
from sluice_api.statuses.distributed import SnapshotStatus
from sluice_api.statuses.pipeline import PipelineStatus
from sluice_api.tolerant import Standing, State
from sluice_operator.kinds.pipeline.context import Context, Presence, Referent
from sluice_operator.kinds.pipeline.observe import observe
from sluice_operator.snapshots.views import Delivery, Reached, View

THERE = (Referent("spec.knowledgeBaseRef", "KnowledgeBase", "kb", Presence.THERE),)
RUNS = Reached("gateway", "gateway-0", runs=True)
BEHIND = Reached("guardrail", "guardrail-0", runs=False)
REFUSES = Reached("reranker", "reranker-0", runs=False, refused="no such model")


def view(*watchers: Reached, state: State = State.IN_FORCE, judged: int = 2, settling: bool = False) -> View:
    problems = () if state is State.IN_FORCE else (Problem("", 0, "", "spec.timeout", "is too long"),)
    version = "" if state is State.LEFT_OUT else "v1"
    generation = {State.IN_FORCE: 2, State.HELD: 1}.get(state, 0)
    return View(Standing(state, generation, problems), judged, Delivery(version, "new", watchers), settling)


def of(
    view: View, *referents: Referent, before: PipelineStatus | None = None, resting: tuple[str, ...] = ()
) -> PipelineStatus:
    return observe(2, Context(before or PipelineStatus(), view, referents or THERE, resting))


def conditions(status: PipelineStatus) -> dict[str, Condition]:
    return {each.type: each for each in status.conditions}


@pytest.mark.parametrize(
    ("given", "reason", "stalled"),
    [
        (view(RUNS), "Ready", False),
        (view(RUNS, BEHIND), "Waiting", False),
        (view(RUNS, REFUSES), "Refused", True),
        (view(), "NoWatchers", False),
        (view(RUNS, state=State.HELD), "Held", True),
        (view(state=State.LEFT_OUT), "LeftOut", True),
        (view(RUNS, judged=1), "Pending", False),
        (View(), "Pending", False),
    ],
)
def test_ready_says_the_first_thing_that_is_not_so(given: View, reason: str, stalled: bool) -> None:
    found = conditions(of(given))

    assert found["Ready"].reason == reason
    assert ("Stalled" in found) is stalled
    assert found["Ready"].message


def test_a_deleted_policy_is_said_and_does_not_pass_by_itself() -> None:
    found = conditions(
        of(view(RUNS), Referent("spec.guardrailPolicyRef", "GuardrailPolicy", "p", Presence.DELETED))
    )

    assert found["Ready"].reason == found["ReferencesResolved"].reason == found["Stalled"].reason == "Deleted"
    assert "GuardrailPolicy 'p' (spec.guardrailPolicyRef)" in found["Ready"].message


def test_what_is_not_there_yet_may_be_on_its_way() -> None:
    missing = Referent("spec.knowledgeBaseRef", "KnowledgeBase", "kb", Presence.MISSING)
    unusable = Referent("spec.guardrailPolicyRef", "GuardrailPolicy", "p", Presence.UNUSABLE)

    one = conditions(of(view(state=State.LEFT_OUT), missing, unusable))
    two = conditions(of(view(state=State.LEFT_OUT), unusable))

    assert one["ReferencesResolved"].reason == "NotFound"
    assert one["DependenciesReady"].reason == "Missing"
    assert "Stalled" not in one
    assert two["ReferencesResolved"].reason == "Unusable"
    assert "Stalled" in two


def test_an_adapter_that_rests_is_said_and_costs_no_readiness() -> None:
    found = conditions(of(view(RUNS), resting=("support",)))

    assert found["DependenciesReady"].reason == "AdaptersResting"
    assert found["Ready"].status == "True"


def test_a_version_keeps_the_digest_of_the_snapshot_that_brought_it() -> None:
    known = SnapshotStatus(digest="old", acknowledged="1/1", watchers=1)

    same = of(view(RUNS), before=PipelineStatus(version="v1", snapshot=known))
    other = of(view(RUNS), before=PipelineStatus(version="v0", snapshot=known))

    assert same.snapshot is not None
    assert other.snapshot is not None
    assert (same.snapshot.digest, other.snapshot.digest) == ("old", "new")


def test_while_watchers_come_back_nothing_new_is_said_but_of_a_new_spec() -> None:
    before = of(view(RUNS)).model_copy(update={"observed_generation": 2})
    older = before.model_copy(update={"observed_generation": 1})

    assert of(view(settling=True), before=before) == before
    assert conditions(of(view(settling=True), before=older))["Ready"].reason == "NoWatchers"


def test_a_long_list_is_cut() -> None:
    many = [Reached("gateway", f"gateway-{number}", runs=False, refused="no" * 1000) for number in range(40)]

    status = of(view(*many))

    assert status.snapshot is not None
    assert status.snapshot.acknowledged == "0/40"
    assert len(status.snapshot.refused) == 16
    assert "and 35 more" in conditions(status)["Distributed"].message
