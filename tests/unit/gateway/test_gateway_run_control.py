"""Who may do what with runs in the background."""

from dataclasses import replace

import pytest

from sluice_gateway.domain.model import Decision, Principal
from sluice_gateway.domain.outcome import RunResult
from sluice_gateway.domain.run import STANDARD, RunRecord, RunState
from sluice_gateway.durable.port import PendingRun, Progress, StartedRun
from sluice_gateway.payloads.port import PayloadNotRetained
from sluice_gateway.run_control import RunControl
from sluice_servicekit.errors import NotFound, PermissionDenied

ASKER = Principal("acme", "ada", ("reader",), ("staff",))
SAME = replace(ASKER, acl=("staff", "board"))
LESS = replace(ASKER, acl=())
OTHER = replace(ASKER, subject="bob")
WRITER = replace(OTHER, roles=("writer",))
ADMIN = replace(OTHER, roles=("admin",))
FOREIGN = Principal("umbrella", "eve", ("admin",))

RECORD = RunRecord("run", "acme", "default", RunState.ANSWERED, "", 1.0, 2.0, (), STANDARD)


class Gateway:
    record: RunRecord | None = RECORD

    async def run(self, principal: Principal, run_id: str) -> RunRecord:
        if self.record is None or principal.tenant != self.record.tenant:
            raise NotFound("there is no run")
        return self.record


class Runs:
    def __init__(self) -> None:
        self.done: list[tuple[object, ...]] = []
        self.forgotten = False

    async def asked_by(self, tenant: str, run_id: str) -> Principal:
        if self.forgotten:
            raise PayloadNotRetained("gone")
        return ASKER

    async def pending(self, run_id: str) -> PendingRun | None:
        return PendingRun(run_id, "acme", "default", Progress.ACTIVE, 1.0) if run_id == "waits" else None

    async def result(self, tenant: str, run_id: str) -> RunResult:
        return RunResult(run_id, RunState.ANSWERED, "It is forty.", "stop")

    async def cancel(self, *arguments: object) -> None:
        self.done.append(("cancel", *arguments))

    async def resume(self, *arguments: object) -> None:
        self.done.append(("resume", *arguments))

    async def fork(self, *arguments: object) -> StartedRun:
        self.done.append(("fork", *arguments))
        return StartedRun("new", "acme")

    async def override(self, *arguments: object) -> StartedRun:
        self.done.append(("override", *arguments))
        return StartedRun("new", "acme")


@pytest.fixture
def runs() -> Runs:
    return Runs()


@pytest.fixture
def control(runs: Runs) -> RunControl:
    return RunControl(Gateway(), None, runs, dict)


async def _do(control: RunControl, what: str, who: Principal) -> None:
    match what:
        case "cancel":
            await control.cancel(who, "run")
        case "resume":
            await control.resume(who, "run")
        case "fork":
            await control.fork(who, "run", "generate")
        case "override":
            await control.override(who, "run", "guard_input", Decision.ALLOW, "why")


@pytest.mark.parametrize(
    ("what", "may", "may_not"),
    [
        ("cancel", [ASKER, SAME, WRITER, ADMIN], [LESS, OTHER]),
        ("resume", [ASKER, SAME, ADMIN], [LESS, OTHER, WRITER]),
        ("fork", [ASKER, SAME, ADMIN], [LESS, OTHER, WRITER]),
        ("override", [ADMIN], [ASKER, SAME, OTHER, WRITER]),
    ],
)
async def test_who_may(
    control: RunControl, runs: Runs, what: str, may: list[Principal], may_not: list[Principal]
):
    for who in may_not:
        with pytest.raises(PermissionDenied):
            await _do(control, what, who)
    with pytest.raises(NotFound):
        await _do(control, what, FOREIGN)
    assert not runs.done
    for who in may:
        await _do(control, what, who)
    assert [done[0] for done in runs.done] == [what] * len(may)
    assert {done[-1] for done in runs.done} == {who.subject for who in may}


async def test_answer_is_shown_to_whoever_asked_and_to_admins(control: RunControl, runs: Runs):
    for who in (ASKER, SAME, ADMIN):
        assert (await control.view(who, "run")).result is not None
    for who in (LESS, OTHER, WRITER):
        view = await control.view(who, "run")
        assert (view.record, view.result) == (RECORD, None)
    runs.forgotten = True
    assert (await control.view(ASKER, "run")).result is None


async def test_run_that_waits_is_shown_to_its_tenant(control: RunControl):
    control._gateway.record = None
    record = (await control.view(OTHER, "waits")).record
    assert (record.state, record.executor, record.pipeline) == (RunState.RUNNING, STANDARD, "default")
    for who, run_id in ((FOREIGN, "waits"), (ASKER, "none")):
        with pytest.raises(NotFound):
            await control.view(who, run_id)
