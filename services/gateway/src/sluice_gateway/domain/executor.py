"""The Express executor: which questions may start, and what a run needs to do so."""

import time
from collections.abc import Callable, Sequence
from contextlib import suppress

from sluice_api.objects.pipeline import Audit
from sluice_api.snapshot import CompiledPipeline, Snapshot
from sluice_gateway.domain.abilities import require_able
from sluice_gateway.domain.adapting.serving import serve
from sluice_gateway.domain.admission.admission import Admission
from sluice_gateway.domain.budgets import Budgets
from sluice_gateway.domain.caching.looking import RunCache
from sluice_gateway.domain.clock import Clock
from sluice_gateway.domain.coalescing import Follower, Shared
from sluice_gateway.domain.model import Principal, RunRequest
from sluice_gateway.domain.observing import EndedRun, RunObserver
from sluice_gateway.domain.outcome import ADMIT, RUNS, CacheDecision, RunFailedError
from sluice_gateway.domain.outputs import Outputs, Passing
from sluice_gateway.domain.planning import Execution, Guarding, RunPlan
from sluice_gateway.domain.ports import Services
from sluice_gateway.domain.recording import Recorder
from sluice_gateway.domain.run import RunState, StepState
from sluice_gateway.domain.running import Run
from sluice_gateway.journal.port import Journal
from sluice_servicekit import deadlines
from sluice_servicekit.errors import InvalidArgument, NotFound, ResourceExhausted, ServiceError


class Executor:
    """Runs questions through their pipelines.

    Args:
        snapshot: Gives the snapshot in force.
        new_run_id: Gives a new, time-ordered id.
        new_canary: Gives a word that nobody can guess and that no text holds.
        max_in_flight: Runs at the same time; more are refused at once.
        observers: Are told of every end of a run that was admitted.
        budgets: Of retries and hedges, for all runs together.
        admission: Decides which runs may start; one of `max_in_flight` runs where absent.
        outputs_of: Gives what takes note of the outputs of a run's finished steps.
    """

    def __init__(
        self,
        services: Services,
        journal: Journal,
        clock: Clock,
        snapshot: Callable[[], Snapshot],
        new_run_id: Callable[[], str],
        new_canary: Callable[[], str],
        max_in_flight: int,
        observers: Sequence[RunObserver] = (),
        budgets: Budgets | None = None,
        admission: Admission | None = None,
        outputs_of: Callable[[str, RunPlan], Outputs] = lambda _run_id, _plan: Passing(),
    ) -> None:
        self._services = services
        self._journal = journal
        self._clock = clock
        self._snapshot = snapshot
        self.new_run_id = new_run_id
        self._new_canary = new_canary
        self._budgets = budgets or Budgets()
        self.admission = admission or Admission(max_in_flight)
        self._observers = (*observers, self.admission)
        self._outputs_of = outputs_of

    def admit(self, request: RunRequest, cache: RunCache | None = None, run_id: str = "") -> Run:
        """A run that may start.

        Args:
            run_id: One that was made before, by `new_run_id`.

        Raises:
            ResourceExhausted: too many runs are going on.
            ServiceError: as `plan` does.
        """
        run_id = run_id or self.new_run_id()
        plan = self.plan(request, run_id)
        spec = plan.pipeline.spec
        place = self.admission.admit(request, run_id, deadlines.cap(spec.timeout), spec.priority)
        recorder = Recorder(
            self._journal, self._clock, run_id, request.principal.tenant, request.pipeline, spec.audit
        )
        return Run(
            place,
            self._services,
            recorder,
            plan,
            self._observers,
            budgets=self._budgets,
            execution=Execution(self._outputs_of(run_id, plan)),
            cache=cache,
        )

    def plan(self, request: RunRequest, run_id: str) -> RunPlan:
        """How a question is to be run, by the snapshot in force.

        Args:
            run_id: Of the run, where an experiment deals out requests.

        Raises:
            Unavailable: no snapshot has arrived yet.
            Unavailable: the adapter that it names is not ready.
            NotFound: there is no such pipeline or adapter (`MODEL_NOT_FOUND`).
            InvalidArgument: no user message asks anything, it pins an arm that there is not, or something is asked for
                that the pipeline's engine cannot do.
            PermissionDenied: it pins an arm, and its principal is no admin.
        """
        snapshot = self._snapshot()
        pipeline = snapshot.pipelines.get(request.pipeline)
        if pipeline is None or not request.principal.may_ask(request.model):
            known = ", ".join(filter(request.principal.may_ask, sorted(snapshot.pipelines))) or "none"
            raise NotFound(
                f"there is no model {request.model!r}; there is: {known}", reason="MODEL_NOT_FOUND"
            )
        if not request.question.strip():
            raise InvalidArgument("the messages hold no question from the user", field="messages")
        require_able(snapshot, pipeline.spec, request)
        served = serve(snapshot, pipeline.spec, request, run_id)
        served.count()
        if served.spec is not pipeline.spec:
            pipeline = pipeline.model_copy(update={"spec": served.spec})
        tenant = request.principal.tenant
        guarding = Guarding(
            streaming=snapshot.policy_for(pipeline.spec, tenant).streaming,
            retrieval_waits=snapshot.retrieval_waits(pipeline.spec, tenant),
            canary=self._new_canary() if snapshot.has_canary(pipeline.spec, tenant) else "",
        )
        return RunPlan(pipeline, guarding, request, served.assignment, served.adapter)

    def follow(
        self, request: RunRequest, pipeline: CompiledPipeline, shared: Shared, run_id: str
    ) -> Follower:
        """A run that another one answers: it calls nothing, and counts for no more than a row in the journal."""
        tenant, started = request.principal.tenant, time.perf_counter()
        recorder = Recorder(self._journal, self._clock, run_id, tenant, request.pipeline, pipeline.spec.audit)

        def tell(state: RunState, reason: str) -> None:
            RUNS.labels(request.pipeline, state).inc()
            seconds = time.perf_counter() - started
            ended = EndedRun(
                recorder.run_id,
                request.principal,
                request.pipeline,
                pipeline.version,
                state,
                reason,
                seconds,
                cache=CacheDecision.COALESCED,
            )
            for observer in self._observers:
                observer.run_ended(ended)

        return Follower(shared, recorder, request.question, pipeline.version, tell)

    async def refuse(self, principal: Principal, pipeline: str, error: ServiceError) -> RunFailedError:
        """A question that was not admitted, as a failed run of the one step `admit`."""
        named = ""  # for a name that is no pipeline's: the journal holds no free text
        with suppress(ServiceError):
            named = pipeline if pipeline in self._snapshot().pipelines else ""
        recorder = Recorder(
            self._journal, self._clock, self.new_run_id(), principal.tenant, named, Audit.BEST_EFFORT
        )
        recorder.run_started("", {"key": principal.key} if principal.key else {})
        recorder.step_started(ADMIT, 1)
        recorder.step_ended(ADMIT, 1, StepState.FAILED, reason=error.reason)
        recorder.run_ended(RunState.FAILED, f"{ADMIT}: {error.reason}")
        RUNS.labels(named, RunState.FAILED).inc()
        if not isinstance(error, ResourceExhausted):  # who sheds load does not wait
            with suppress(ServiceError):
                await self._journal.commit()
        return RunFailedError(recorder.run_id, ADMIT, error)
