"""Whatever happens to an experiment, in whatever order: a verdict never flips, and what it says is obeyed."""

import asyncio
import itertools
from collections import Counter
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from sluice_api.experiments import compiled
from sluice_api.objects.adapter_experiment import AdapterExperiment, AdapterExperimentSpec
from sluice_api.objects.lora_adapter import LoRAAdapter
from sluice_api.objects.model_server import ModelServer
from sluice_gateway.domain.experimenting.outcomes import Outcomes
from sluice_operator.cluster.resources import MODEL_REWRITES, resource_of
from sluice_operator.kinds.adapter_experiment.kind import AdapterExperiments
from sluice_operator.outcomes.protocol import Report, Suggestion
from sluice_operator.reconciling.mirror import Mirror
from sluice_operator.reconciling.reconciler import Reconciler
from sluice_servicekit import errors
from support import experiment_objects as objects
from support.experiment_reports import report
from support.fake_cluster import Event, FakeCluster

START = 1_800_000_000.0
EXPERIMENTS, ADAPTERS = resource_of(AdapterExperiment), resource_of(LoRAAdapter)
SERVERS = resource_of(ModelServer)
TREATMENTS = ("new", "other")
FAILURES = (
    errors.Unavailable("away"),
    errors.Unauthenticated("no key"),
    errors.NotFound("unknown"),
    errors.FailedPrecondition("no gateway"),
)
#: What a verdict rests on; and what follows from it, or is about something else.
QUESTIONS: tuple[dict[str, Any], ...] = (
    {"new": 40},
    {"new": 10},
    {"salt": "again"},
    {"minSamplesPerArm": 50},
    {"verdict": {"method": "FixedSample"}},
    {"treatments": ("new",)},
    {"treatments": ("other",)},
)
REACTIONS: tuple[dict[str, Any], ...] = (
    {"onSuccess": "Promote"},
    {"onSuccess": "Hold"},
    {"onBreach": "Rollback"},
    {"onBreach": "Pause"},
    {"paused": True},
    {"paused": False},
    {"decommission": "Retire"},
    {"decommission": "Keep"},
    {"maxDuration": "2h"},
    {"analysisInterval": "5s"},
)


class ExperimentMachine(RuleBasedStateMachine):
    """An operator over a cluster in memory, and a gateway that says what it likes."""

    def __init__(self) -> None:
        super().__init__()
        self.now = START
        self.given: dict[str, Any] = {"new": 40, "treatments": TREATMENTS}
        self.failing: errors.ServiceError | None = None
        self.suggested: tuple[str, str] | None = None
        self.counted: dict[str, Outcomes] = {}
        self.versions = itertools.count(1)
        self.engines = dict.fromkeys(TREATMENTS, "")
        self.refuse = self.lose = self.deaf = False
        self.cluster = FakeCluster(
            before_write=self._refusing, after_write=self._losing, clock=lambda: self.now
        )
        self.cluster.on_event = self._hear
        self.verdicts: dict[str, Any] = {}
        """Every verdict that was ever written, by the question and trial that it was about."""

    @initialize()
    def begin(self) -> None:
        self.cluster.create(SERVERS, objects.server())
        for name in TREATMENTS:
            self.give_version(name)
        self._edit({})
        self.in_force = self.spec
        self.restart()

    @property
    def body(self) -> dict[str, Any]:
        return self.cluster.objects[EXPERIMENTS, "default", "trial"]

    @property
    def status(self) -> dict[str, Any]:
        found: dict[str, Any] = self.body.get("status") or {}
        return found

    @property
    def spec(self) -> AdapterExperimentSpec:
        return AdapterExperiment.model_validate(self.body).spec

    # The gateway

    async def report(self, experiment: str, since: float) -> Report:
        if self.failing is not None:
            raise self.failing
        counted = {arm.name: self.counted.get(arm.name, Outcomes()) for arm in self.in_force.arms}
        models = {
            arm.name: self.engines[arm.adapter_ref] if arm.adapter_ref else "" for arm in self.in_force.arms
        }
        found = report(self.in_force, counted, models, since)
        if self.suggested is None:
            return found
        verdict, arm = self.suggested
        return found.model_copy(update={"suggestion": Suggestion(verdict=verdict, arm=arm)})

    @rule(
        arm=st.sampled_from(("base", *TREATMENTS)),
        runs=st.integers(0, 2000),
        share=st.sampled_from((0, 0.05, 1)),
    )
    def count(self, arm: str, runs: int, share: float) -> None:
        outcomes = Outcomes(requests=runs, errors=Counter(UNAVAILABLE=int(runs * share)))
        self.counted.setdefault(arm, Outcomes()).merge(outcomes)

    @rule(
        said=st.none()
        | st.tuples(
            st.sampled_from(("success", "breach", "continue")),
            st.sampled_from((*TREATMENTS, "base", "gone", "")),
        )
    )
    def suggest(self, said: tuple[str, str] | None) -> None:
        """Right or wrong: the verdict that is recorded once has to stay all the same."""
        self.suggested = said

    @rule(failing=st.none() | st.sampled_from(FAILURES))
    def fail(self, failing: errors.ServiceError | None) -> None:
        self.failing = failing

    @rule()
    def follow(self) -> None:
        self.in_force = self.spec

    # People, and other parts of the operator

    @rule(change=st.sampled_from(QUESTIONS))
    def ask_something_else(self, change: dict[str, Any]) -> None:
        self._edit(change)

    @rule(change=st.sampled_from(REACTIONS))
    def react_otherwise(self, change: dict[str, Any]) -> None:
        self._edit(change)

    @rule(name=st.sampled_from(TREATMENTS), ready=st.booleans())
    def look_at(self, name: str, ready: bool) -> None:
        status = objects.looked_at(self.engines[name], ready=ready)
        self.cluster.create(ADAPTERS, objects.adapter(name) | {"status": status})

    @rule(name=st.sampled_from(TREATMENTS))
    def give_version(self, name: str) -> None:
        self.engines[name] = f"{name}--{next(self.versions)}"
        self.look_at(name, ready=True)

    @rule(seconds=st.sampled_from((1, 15, 60, 3600, 86400)))
    def wait(self, seconds: int) -> None:
        self.now += seconds

    @rule()
    def restart(self) -> None:
        """Of the operator."""
        self.cluster.mirror = Mirror()
        self.kind = AdapterExperiments(self.cluster, self.cluster.mirror, self, lambda: self.now)
        self.reconciler = Reconciler(self.cluster, self.cluster.mirror, lambda: self.now)
        self.hear_again()

    @rule()
    def hear_again(self) -> None:
        """The streams list what there is."""
        self.deaf = False
        for (resource, _, _), manifest in self.cluster.objects.items():
            self.cluster.mirror.put(resource, manifest)

    @rule()
    def refuse_a_write(self) -> None:
        """The next one."""
        self.refuse = True

    @rule()
    def lose_a_reply(self) -> None:
        """The next write takes effect, its reply is lost, and their stream stands still as well."""
        self.lose = True

    @rule(times=st.integers(1, 3))
    def reconcile(self, times: int) -> None:
        for _ in range(times):
            before = (self.body["spec"], self.body["metadata"]["generation"])
            outcome = asyncio.run(self.reconciler.run_once(self.kind, self.body["metadata"]["uid"]))
            assert outcome.name in ("done", "retried")
            assert before == (self.body["spec"], self.body["metadata"]["generation"])
            self._note()
            if outcome.name == "done" and not self.deaf:
                self._check_obeyed()

    @invariant()
    def promoted_is_an_arm_or_nobody(self) -> None:
        if self.status and self.status["observedGeneration"] == self.body["metadata"]["generation"]:
            arms = {arm.name for arm in self.spec.arms}
            assert self.status.get("promoted", "") in arms | {""}
        adapters = {name: LoRAAdapter.model_validate(self._object(ADAPTERS, name)) for name in TREATMENTS}
        split = compiled(AdapterExperiment.model_validate(self.body), adapters)
        assert split.promoted in {arm.name for arm in split.spec.arms} | {""}

    @invariant()
    def nothing_but_statuses_and_the_split_is_written(self) -> None:
        assert {(verb, key[0]) for verb, key in self.cluster.writes} <= {
            ("apply_status", EXPERIMENTS),
            ("apply", MODEL_REWRITES),
            ("delete", MODEL_REWRITES),
        }

    # What is held against it

    def _note(self) -> None:
        """A verdict stays for as long as its trial does."""
        status = self.status
        trial, verdict = status.get("trial", ""), status.get("verdict")
        if not trial:
            assert not status.get("promoted")
            return
        about = f"{trial}/{status['since']}/{status['startedAt']}"
        known = self.verdicts.get(about)
        if known is not None:
            assert verdict == known
        elif verdict is not None:
            self.verdicts[about] = verdict

    def _check_obeyed(self) -> None:
        status, spec = self.status, self.spec
        verdict, promoted, phase = status.get("verdict"), status.get("promoted", ""), status["phase"]
        assert bool(status["trial"]) or verdict is None
        if verdict is None:
            assert (promoted, status["retired"]) == ("", [])
            assert phase in (("Paused",) if spec.paused else ("Pending", "Running"))
        elif verdict["decision"] == "Breach":
            rolls_back = spec.on_breach == "Rollback"
            assert (promoted, phase) == (("base", "RolledBack") if rolls_back else ("", "Paused"))
            assert verdict["arm"] in TREATMENTS
        elif verdict["decision"] == "Success":
            assert (promoted, phase) == (verdict["arm"] if spec.on_success == "Promote" else "", "Succeeded")
            assert verdict["arm"] in TREATMENTS
        else:
            assert (promoted, phase) == ("", "Inconclusive")
        winner = next((arm.adapter_ref for arm in spec.arms if arm.name == promoted), None)
        assert winner not in status["retired"] or winner is None
        assert spec.decommission == "Retire" or not status["retired"]

    def _edit(self, change: dict[str, Any]) -> None:
        self.given |= change
        self.cluster.create(EXPERIMENTS, objects.experiment(**self.given))

    def _object(self, resource: Any, name: str) -> dict[str, Any]:
        return self.cluster.objects[resource, "default", name]

    def _refusing(self, verb: str, key: Any) -> None:
        if self.refuse:
            self.refuse = False
            raise errors.Unavailable("the API server is away")
        self.deaf = self.deaf or self.lose

    def _losing(self, verb: str, key: Any) -> None:
        if self.lose:
            self.lose, self.refuse = False, True  # the API server is away for what follows
            raise errors.DeadlineExceeded("the reply is lost")

    def _hear(self, event: Event) -> None:
        if not (self.deaf and event.resource == EXPERIMENTS):
            self.cluster.tell_mirror(event)


TestExperimentMachine = ExperimentMachine.TestCase
TestExperimentMachine.settings = settings(max_examples=120, stateful_step_count=50)
