"""One experiment through the kind's own steps: what is read, what is made of it, what is said."""

import asyncio
from collections import Counter
from collections.abc import Mapping
from typing import Any

import pytest

from sluice_api.objects.adapter_experiment import AdapterExperiment, AdapterExperimentSpec
from sluice_api.objects.lora_adapter import LoRAAdapter
from sluice_api.objects.model_server import ModelServer
from sluice_api.objects.pipeline import Pipeline
from sluice_gateway.domain.experimenting.outcomes import Outcomes
from sluice_operator.cluster.resources import MODEL_REWRITES, resource_of
from sluice_operator.kinds.adapter_experiment.kind import AdapterExperiments
from sluice_operator.outcomes.protocol import Report
from sluice_operator.reconciling.reconciler import Reconciler
from sluice_servicekit import errors
from support import experiment_objects as objects
from support.experiment_reports import report
from support.fake_cluster import FakeCluster

HOUR = 1_800_000_000.0 // 3600 * 3600
START = HOUR + 600
EXPERIMENTS, ADAPTERS = resource_of(AdapterExperiment), resource_of(LoRAAdapter)
SERVERS, PIPELINES = resource_of(ModelServer), resource_of(Pipeline)


class Gateway:
    """`Outcomes`, as the gateway would answer if it had counted these."""

    def __init__(self) -> None:
        self.spec: AdapterExperimentSpec | None = None
        self.models: dict[str, str] = {"base": "", "new": "new--1"}
        self.counted: dict[str, Outcomes] = {}
        self.fails: errors.ServiceError | None = None
        self.asked: list[float] = []

    def counts(self, **arms: tuple[int, int]) -> None:
        """Runs and errors, by arm."""
        self.counted = {
            name: Outcomes(requests=runs, errors=Counter(UNAVAILABLE=failed))
            for name, (runs, failed) in arms.items()
        }

    async def report(self, experiment: str, since: float) -> Report:
        self.asked.append(since)
        if self.fails is not None:
            raise self.fails
        assert self.spec is not None
        counted = {arm.name: self.counted.get(arm.name, Outcomes()) for arm in self.spec.arms}
        models = {arm.name: self.models.get(arm.name, "") for arm in self.spec.arms}
        return report(self.spec, counted, models, since)


class World:
    """A namespace, a gateway, and a clock that stands."""

    def __init__(self, *, gateway: bool = True, rewrites: bool = False, **spec: Any) -> None:
        self.now = START
        self.cluster = FakeCluster(missing=() if rewrites else (MODEL_REWRITES,), clock=lambda: self.now)
        self.gateway = Gateway()
        self.cluster.create(SERVERS, objects.server())
        for arm in spec.get("treatments", ("new",)):
            self.adapter(arm)
        self.edit(**spec)
        self.kind = AdapterExperiments(
            self.cluster, self.cluster.mirror, self.gateway if gateway else None, lambda: self.now
        )
        self._reconciler = Reconciler(self.cluster, self.cluster.mirror, lambda: self.now)

    def adapter(self, name: str, engine: str = "", *, ready: bool = True, **spec: Any) -> None:
        """An adapter that has been looked at."""
        status = objects.looked_at(engine or f"{name}--1", ready=ready)
        self.cluster.create(ADAPTERS, objects.adapter(name, **spec) | {"status": status})

    def edit(self, *, follows: bool = True, **spec: Any) -> None:
        """A person's edit; the gateway has it at once unless it does not follow."""
        self.cluster.create(EXPERIMENTS, objects.experiment(**spec))
        if follows:
            self.gateway.spec = self.spec

    @property
    def spec(self) -> AdapterExperimentSpec:
        return AdapterExperiment.model_validate(self.body).spec

    @property
    def body(self) -> dict[str, Any]:
        return self.cluster.objects[EXPERIMENTS, "default", "trial"]

    def run(self, seconds: float = 0.0) -> dict[str, Any]:
        """A pass after so long, and another where it has learnt of a newer status; the status after it."""
        self.now += seconds
        uid = self.body["metadata"]["uid"]
        outcome = asyncio.run(self._reconciler.run_once(self.kind, uid))
        if (outcome.failed, outcome.again_in) == (False, 0.0):
            outcome = asyncio.run(self._reconciler.run_once(self.kind, uid))
        assert outcome.name == "done"
        self.again_in = outcome.again_in
        status: dict[str, Any] = self.body["status"]
        return status


def _condition(status: Mapping[str, Any], name: str) -> tuple[str, str]:
    found = next(each for each in status["conditions"] if each["type"] == name)
    return found["status"], found["reason"]


def _message(status: Mapping[str, Any], name: str) -> str:
    return str(next(each for each in status["conditions"] if each["type"] == name)["message"])


def test_runs_until_a_treatment_has_met_its_bounds_and_then_has_all_traffic() -> None:
    world = World()
    world.gateway.counts(base=(40, 1), new=(40, 1))
    status = world.run()
    assert (status["phase"], status["promoted"], status["since"]) == ("Running", "", "2027-01-15T08:00:00Z")
    assert world.gateway.asked == [HOUR]
    assert _condition(status, "Ready") == ("True", "Running")
    assert world.again_in == 60.0
    assert [(arm["name"], arm["runs"], arm["errors"], arm["model"]) for arm in status["arms"]] == [
        ("base", 40, 1, "qwen"),
        ("new", 40, 1, "new--1"),
    ]

    world.gateway.counts(base=(4000, 40), new=(4000, 40))
    status = world.run(60)
    verdict = status["verdict"]
    assert (status["phase"], status["promoted"]) == ("Succeeded", "new")
    assert (verdict["decision"], verdict["arm"], verdict["model"]) == ("Success", "new", "new--1")
    assert (verdict["method"], verdict["alpha"]) == ("Sequential", 0.05)
    assert verdict["samples"] == [{"arm": "base", "runs": 4000}, {"arm": "new", "runs": 4000}]
    assert verdict["reasons"] == [
        "errorRate (rate) of new is 0.01 (0.005844 to 0.01706, 4000 samples): max 0.05 is met."
    ]
    assert {each["metric"] for each in verdict["differences"]} == {"errorRate", "blockRate", "degradedRate"}
    assert status["decidedAt"] == verdict["at"] == "2027-01-15T08:11:00Z"
    assert _condition(status, "Decided") == ("True", "Promoted")
    assert _condition(status, "Ready") == ("True", "Decided")
    assert "delete this experiment" in _message(status, "Decided")

    asked = len(world.gateway.asked)
    world.gateway.counts(base=(8000, 40), new=(8000, 8000))
    later = world.run(86400)
    assert (later["verdict"], later["promoted"], len(world.gateway.asked)) == (verdict, "new", asked)
    assert world.again_in is None


@pytest.mark.parametrize(
    ("reaction", "phase", "promoted", "ready"),
    [
        ("Rollback", "RolledBack", "base", ("True", "Decided")),
        ("Pause", "Paused", "", ("False", "BreachPaused")),
    ],
)
def test_broken_bound_ends_it(reaction: str, phase: str, promoted: str, ready: tuple[str, str]) -> None:
    world = World(onBreach=reaction)
    world.gateway.counts(base=(60, 0), new=(60, 60))
    status = world.run()
    assert (status["phase"], status["promoted"]) == (phase, promoted)
    assert (status["verdict"]["decision"], status["verdict"]["arm"]) == ("Breach", "new")
    assert _condition(status, "Ready") == ready
    assert any(each["type"] == "Stalled" for each in status["conditions"]) == (reaction == "Pause")

    world.edit(onBreach="Rollback")
    assert world.run()["promoted"] == "base"  # what follows from a verdict is the spec's to say


def test_success_that_is_held_is_promoted_once_somebody_says_so() -> None:
    world = World(onSuccess="Hold")
    world.gateway.counts(base=(4000, 40), new=(4000, 40))
    held = world.run()
    assert (held["phase"], held["promoted"]) == ("Succeeded", "")
    assert _condition(held, "Decided") == ("True", "Held")
    world.edit(onSuccess="Promote")
    promoted = world.run(3600)
    assert (promoted["promoted"], promoted["verdict"]) == ("new", held["verdict"])


def test_fixed_sample_looks_once() -> None:
    world = World(verdict={"method": "FixedSample"}, minSamplesPerArm=400)
    world.gateway.counts(base=(399, 0), new=(5000, 5000))
    assert "verdict" not in world.run()
    assert "400 runs" in _message(world.body["status"], "Decided")
    world.gateway.counts(base=(400, 0), new=(5000, 240))  # the bound of 0.05 lies in the interval
    status = world.run(60)
    assert (status["phase"], status["verdict"]["decision"]) == ("Inconclusive", "Inconclusive")
    assert _condition(status, "Decided") == ("True", "Undecided")
    world.gateway.counts(base=(400, 0), new=(5000, 5000))
    assert world.run(60)["phase"] == "Inconclusive"


def test_time_that_runs_out_decides_nothing_and_says_so() -> None:
    world = World(maxDuration="1h")
    world.gateway.counts(base=(10, 0), new=(10, 0))
    world.run()
    assert world.run(3500)["phase"] == "Running"
    status = world.run(160)
    assert (status["phase"], status["promoted"]) == ("Inconclusive", "")
    assert _condition(status, "Decided") == ("True", "TimeOver")
    assert "too few samples" in _message(status, "Decided")


def test_arm_that_is_not_ready_or_a_pause_stops_the_clock_and_the_verdict() -> None:
    world = World(maxDuration="1h")
    world.adapter("new", ready=False)
    status = world.run()
    assert (status["phase"], status["trial"], world.gateway.asked) == ("Pending", "", [])
    assert _condition(status, "ArmsReady") == ("False", "ArmsResting")
    assert "0 of 2 pods have it" in _message(status, "ArmsReady")

    world.adapter("new")
    world.gateway.counts(base=(10, 0), new=(10, 0))
    assert world.run(7200)["phase"] == "Running"
    world.adapter("new", ready=False)
    world.gateway.counts(base=(60, 0), new=(60, 60))
    status = world.run(60)
    assert (status["phase"], status["haltedAt"]) == ("Running", "2027-01-15T10:11:00Z")
    assert "verdict" not in status
    world.adapter("new")
    world.edit(maxDuration="1h", paused=True)
    assert world.run(7200)["phase"] == "Paused"
    world.edit(maxDuration="1h")
    world.gateway.counts(base=(10, 0), new=(10, 0))
    status = world.run(7200)
    assert (status["phase"], status["haltedAt"], status["haltedSeconds"]) == ("Running", "", 14400)
    world.run(3400)
    assert world.run(141)["phase"] == "Inconclusive"


@pytest.mark.parametrize("change", [{"new": 20}, {"salt": "again"}, {"minSamplesPerArm": 101}])
def test_edit_of_what_a_verdict_rests_on_begins_anew_at_the_next_whole_hour(change: dict[str, Any]) -> None:
    world = World()
    world.gateway.counts(base=(60, 0), new=(60, 60))
    assert world.run()["promoted"] == "base"
    world.edit(**change)
    status = world.run(60)
    assert (status["phase"], status["promoted"], status["since"]) == ("Running", "", "2027-01-15T09:00:00Z")
    assert "verdict" not in status
    assert _condition(status, "Analysed") == ("Unknown", "CountingLater")
    assert (len(world.gateway.asked), world.again_in) == (1, 3600 - 660)
    status = world.run(3600 - 660)
    assert world.gateway.asked[-1] == HOUR + 3600
    assert status["promoted"] == "base"


def test_other_version_of_an_adapter_begins_anew_before_the_verdict_and_is_told_after_it() -> None:
    world = World()
    world.gateway.counts(base=(10, 0), new=(10, 0))
    first = world.run()
    world.adapter("new", "new--2")
    world.gateway.models["new"] = "new--2"
    second = world.run(60)
    assert second["trial"] != first["trial"]
    assert second["since"] == "2027-01-15T09:00:00Z"

    world.gateway.counts(base=(4000, 40), new=(4000, 40))
    decided = world.run(3600)
    world.adapter("new", "new--3")
    status = world.run(60)
    assert (status["verdict"], status["promoted"]) == (decided["verdict"], "new")
    assert _condition(status, "Ready") == ("False", "AdapterChanged")
    assert "new--2" in _message(status, "Ready")
    assert "new--3" in _message(status, "Ready")


def test_gateway_that_has_another_spec_in_force_decides_nothing() -> None:
    world = World()
    world.edit(follows=False, new=20)
    world.gateway.counts(base=(60, 0), new=(60, 60))
    status = world.run()
    assert status["phase"] == "Running"
    assert _condition(status, "Analysed") == ("False", "GatewayBehind")
    assert "arms" in _message(status, "Analysed")
    world.gateway.spec = world.spec
    assert world.run(60)["phase"] == "RolledBack"


@pytest.mark.parametrize(
    ("error", "reason", "does", "lasts"),
    [
        (errors.Unavailable("refused"), "GatewayUnreachable", "pods are ready", False),
        (errors.DeadlineExceeded("slow"), "GatewayUnreachable", "pods are ready", False),
        (errors.Unauthenticated("no key"), "KeyRefused", "Secret", True),
        (errors.PermissionDenied("no admin"), "KeyRefused", "Secret", True),
        (errors.NotFound("there is no experiment"), "ExperimentUnknown", "Within seconds", False),
        (errors.FailedPrecondition("no gateway"), "AnswerUnreadable", "SLUICE_GATEWAY_URL", True),
    ],
)
def test_gateway_that_does_not_tell_is_named_with_what_to_do_and_asked_again(
    error: errors.ServiceError, reason: str, does: str, lasts: bool
) -> None:
    world = World()
    world.gateway.fails = error
    status = world.run()
    assert status["phase"] == "Running"
    assert _condition(status, "Analysed") == ("False", reason)
    assert does in _message(status, "Analysed")
    assert _condition(status, "Ready") == ("False", "NotAnalysed")
    assert any(each["type"] == "Stalled" for each in status["conditions"]) == lasts
    assert world.again_in == 15.0
    world.gateway.fails = None
    world.gateway.counts(base=(10, 0), new=(10, 0))
    assert _condition(world.run(15), "Analysed") == ("True", "Analysed")


def test_what_was_last_heard_is_shown_while_the_gateway_is_away() -> None:
    world = World()
    world.gateway.counts(base=(10, 0), new=(10, 1))
    world.run()
    world.gateway.fails = errors.Unavailable("away")
    assert [arm["runs"] for arm in world.run(60)["arms"]] == [10, 10]


def test_operator_that_knows_no_gateway_says_so_and_splits_on() -> None:
    world = World(gateway=False)
    status = world.run()
    assert (status["phase"], status["promoted"]) == ("Running", "")
    assert _condition(status, "Analysed") == ("False", "NoGateway")


@pytest.mark.parametrize(
    ("resource", "change", "reason"),
    [
        (SERVERS, None, "ServerMissing"),
        (SERVERS, objects.manifest("ModelServer", "vllm", {"extractive": {}}), "ServerUnfit"),
        (ADAPTERS, None, "AdapterMissing"),
        (ADAPTERS, objects.adapter("new", modelServerRef="other"), "AdapterUnfit"),
        (EXPERIMENTS, objects.experiment("earlier"), "ModelTaken"),
    ],
)
def test_what_does_not_fit_is_told(resource: Any, change: dict[str, Any] | None, reason: str) -> None:
    world = World()
    if change is None:
        world.cluster.remove(resource, "default", "vllm" if resource == SERVERS else "new")
    else:
        world.now -= 60
        world.cluster.create(resource, change)
        world.now += 60
    status = world.run()
    assert (status["phase"], world.gateway.asked) == ("Pending", [])
    assert _condition(status, "Accepted") == ("False", reason)
    assert _condition(status, "Ready") == ("False", "NotAccepted")


def test_younger_experiment_on_the_same_model_is_no_matter() -> None:
    world = World()
    world.now += 60
    world.cluster.create(EXPERIMENTS, objects.experiment("a-later-one"))
    world.gateway.counts(base=(60, 0), new=(60, 60))
    assert world.run()["phase"] == "RolledBack"


def test_bounds_of_several_treatments_are_compared_with_what_the_gateway_says() -> None:
    world = World(treatments=("new", "other"), new=30)
    world.gateway.models["other"] = "other--1"
    world.gateway.counts(base=(3000, 30), new=(3000, 130), other=(3000, 3))
    status = world.run()
    assert (status["phase"], status["promoted"]) == ("Succeeded", "other")
    assert status["verdict"]["reasons"][0].startswith("errorRate (rate) of other")


def test_losers_are_kept_and_named_unless_they_are_to_be_retired() -> None:
    world = World()
    world.gateway.counts(base=(60, 0), new=(60, 60))
    status = world.run()
    assert _condition(status, "Decommissioned") == ("False", "Kept")
    assert "LoRAAdapter new may be deleted" in _message(status, "Decommissioned")
    assert status["retired"] == []

    world.edit(decommission="Retire")
    status = world.run(60)
    assert _condition(status, "Decommissioned") == ("False", "Waiting")
    assert (status["retired"], world.again_in) == ([], 3540.0)  # the adapter's rollbackWindow
    status = world.run(3540)
    assert (status["retired"], _condition(status, "Decommissioned")) == (["new"], ("True", "Retired"))
    world.adapter("new", ready=False)  # as its unloading has it
    status = world.run(60)
    assert (status["retired"], _condition(status, "Ready")) == (["new"], ("True", "Decided"))
    world.edit(salt="again")
    assert world.run()["retired"] == []


@pytest.mark.parametrize(
    ("resource", "user", "by"),
    [
        (
            PIPELINES,
            objects.manifest(
                "Pipeline",
                "p",
                {
                    "knowledgeBaseRef": "k",
                    "guardrailPolicyRef": "g",
                    "steps": {"generate": {"modelServerRef": "vllm", "modelName": "new"}},
                },
            ),
            "Pipeline p",
        ),
        (EXPERIMENTS, objects.experiment("second", modelName="mail"), "AdapterExperiment second"),
        (
            ADAPTERS,
            objects.adapter("new", selectors={"task": "mail"}) | {"status": objects.looked_at("new--1")},
            "its own selectors",
        ),
    ],
)
def test_loser_that_something_else_uses_stays_loaded(resource: Any, user: dict[str, Any], by: str) -> None:
    world = World(decommission="Retire")
    world.cluster.create(resource, user)
    world.gateway.counts(base=(60, 0), new=(60, 60))
    world.run()
    status = world.run(7200)
    assert (status["retired"], _condition(status, "Decommissioned")) == ([], ("False", "StillUsed"))
    assert by in _message(status, "Decommissioned")


def test_winner_has_to_be_ready_before_the_loser_goes() -> None:
    world = World(treatments=("new", "other"), new=30, decommission="Retire")
    world.gateway.models["other"] = "other--1"
    world.gateway.counts(base=(3000, 30), new=(3000, 130), other=(3000, 3))
    world.run()
    world.adapter("other", ready=False)
    status = world.run(7200)
    assert (status["retired"], _condition(status, "ArmsReady")[1]) == ([], "ArmsResting")
    world.adapter("other")
    assert world.run(60)["retired"] == ["new"]


def test_split_is_told_to_an_inference_gateway_where_the_cluster_has_that_kind() -> None:
    world = World(rewrites=True, new=30)
    world.gateway.counts(base=(10, 0), new=(10, 0))
    world.run()

    def rewrite() -> dict[str, Any]:
        [found] = [each for key, each in world.cluster.objects.items() if key[0] == MODEL_REWRITES]
        [rule] = found["spec"]["rules"]
        assert rule["matches"] == [{"model": {"type": "Exact", "value": "support"}}]
        assert found["spec"]["poolRef"]["name"] == "vllm"
        return {each["modelRewrite"]: each["weight"] for each in rule["targets"]}

    assert rewrite() == {"new--1": 30, "qwen": 70}
    world.adapter("new", ready=False)
    world.run(1)
    assert rewrite() == {"qwen": 100}
    world.adapter("new")
    world.gateway.counts(base=(4000, 40), new=(4000, 40))
    world.run(60)
    assert rewrite() == {"new--1": 100}


def test_cluster_without_that_kind_is_asked_once_in_a_while_and_sent_nothing() -> None:
    world = World()
    reads: list[str] = []
    world.cluster.before_read = reads.append
    for _ in range(4):
        assert _condition(world.run(10), "Ready")[0] != "Unknown"
    assert reads.count("list") == 1
    world.run(300)
    assert reads.count("list") == 2
    assert {verb for verb, key in world.cluster.writes if key[0] == MODEL_REWRITES} == set()


def test_pass_that_changes_nothing_writes_nothing() -> None:
    world = World(rewrites=True)
    world.gateway.counts(base=(10, 0), new=(10, 0))
    world.run()
    before = len(world.cluster.writes)
    world.run(1)
    world.run(60)
    assert len(world.cluster.writes) == before


def test_without_guard_metrics_nothing_can_win_and_it_says_so() -> None:
    world = World(guardMetrics=[])
    world.gateway.counts(base=(4000, 0), new=(4000, 4000))
    status = world.run()
    assert status["phase"] == "Running"
    assert "no guardMetrics" in _message(status, "Decided")


def test_status_that_somebody_has_broken_begins_anew() -> None:
    world = World()
    world.gateway.counts(base=(10, 0), new=(10, 0))
    world.cluster.create(EXPERIMENTS, world.body | {"status": {"phase": "Nonsense", "promoted": "nobody"}})
    status = world.run()
    assert (status["phase"], status["promoted"]) == ("Running", "")


def test_verdict_whose_reply_was_lost_stands_though_the_stream_has_not_told_of_it() -> None:
    world = World()
    world.gateway.counts(base=(10, 0), new=(10, 0))
    world.run()
    told = world.cluster.on_event

    def lose(verb: str, key: Any) -> None:
        world.cluster.before_write = refuse
        raise errors.DeadlineExceeded("the reply is lost")

    def refuse(verb: str, key: Any) -> None:
        raise errors.Unavailable("the API server is away")

    world.cluster.after_write = lose
    world.cluster.on_event = lambda event: None if event.resource == EXPERIMENTS else told(event)
    world.gateway.counts(base=(60, 0), new=(60, 60))
    with pytest.raises(AssertionError):  # the pass has failed
        world.run(60)
    verdict = world.body["status"]["verdict"]

    world.cluster.before_write = world.cluster.after_write = lambda verb, key: None
    world.adapter("new", ready=False)
    assert world.run(1)["verdict"] == verdict
    world.adapter("new")
    world.gateway.counts(base=(4000, 40), new=(4000, 40))
    assert world.run(60)["verdict"] == verdict


def test_changes_wake_those_whom_they_may_matter_to() -> None:
    world = World()
    for name, more in (
        ("mail", {"modelName": "mail"}),
        ("tidy", {"modelName": "tidy", "decommission": "Retire"}),
    ):
        world.cluster.create(EXPERIMENTS, objects.experiment(name, **more))
    names = {each["metadata"]["uid"]: key[2] for key, each in world.cluster.objects.items()}

    def woken(resource: Any, manifest: dict[str, Any]) -> set[str]:
        given = {**manifest, "metadata": {"uid": "another", **manifest["metadata"]}}
        return {names[uid] for uid in world.kind.concerned(given, resource, world.cluster.mirror)}

    everybody = {"trial", "mail", "tidy"}
    assert woken(ADAPTERS, objects.adapter("new")) == woken(SERVERS, objects.server()) == everybody
    assert woken(ADAPTERS, objects.adapter("other")) == woken(SERVERS, objects.server("other")) == set()
    assert woken(PIPELINES, objects.pipeline()) == {"tidy"}
    assert woken(EXPERIMENTS, objects.experiment("rival")) == {"trial", "tidy"}
    assert woken(EXPERIMENTS, world.body) == {"tidy"}
    assert woken(ADAPTERS, objects.adapter("new", "elsewhere")) == set()


def test_verdict_that_an_earlier_status_was_written_over_comes_back() -> None:
    world = World()
    world.gateway.counts(base=(10, 0), new=(10, 0))
    early = world.run()
    world.gateway.counts(base=(60, 0), new=(60, 60))
    verdict = world.run(60)["verdict"]
    world.cluster.create(EXPERIMENTS, world.body | {"status": early})
    world.gateway.counts(base=(4000, 40), new=(4000, 40))
    status = world.run(60)
    assert (status["verdict"], status["promoted"], status["decidedAt"]) == (verdict, "base", verdict["at"])
    world.edit(salt="again")
    assert "verdict" not in world.run(60)
