"""The outputs of a durable run's steps, over an engine in memory that can crash between effect and record."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import pytest

from sluice_api.objects.pipeline import Audit, Payloads
from sluice_gateway.domain.recording import Recorder
from sluice_gateway.domain.run import StepState, fold
from sluice_gateway.domain.stepping import StepFailedError
from sluice_gateway.durable import outputs as kept_outputs
from sluice_gateway.durable.outputs import KeptOutputs
from sluice_gateway.durable.port import Reference
from sluice_gateway.payloads.memory import MemoryPayloads
from sluice_servicekit.errors import NotFound, Unavailable
from support.run_bench import Clock, Memory


class Crash(BaseException):
    """The process dies."""


@dataclass
class Records:
    """`Checkpoint` in memory."""

    kept: dict[str, Reference] = field(default_factory=dict)
    crash_before_record: bool = False

    async def once(self, step: str, work: Callable[[], Awaitable[Reference]]) -> Reference:
        if step not in self.kept:
            reference = await work()
            if self.crash_before_record:
                raise Crash
            self.kept.setdefault(step, reference)  # as the engine: the first that owns the run
        return self.kept[step]


@dataclass
class Bench:
    payloads: MemoryPayloads = field(default_factory=MemoryPayloads)
    records: Records = field(default_factory=Records)
    journal: Memory = field(default_factory=Memory)
    calls: int = 0

    def execution(self, seed: dict[str, str] | None = None) -> KeptOutputs:
        recorder = Recorder(self.journal, Clock(), "run", "acme", "default", Audit.REQUIRED)
        return KeptOutputs(self.records, self.payloads, recorder, Payloads.SEALED, seed or {})

    async def work(self) -> str:
        self.calls += 1
        return f"text {self.calls}"


async def test_step_that_has_finished_is_read_and_not_run():
    bench = Bench()
    assert await bench.execution().once("generate", bench.work) == "text 1"
    assert await bench.execution().once("generate", bench.work) == "text 1"
    assert bench.calls == 1


async def test_engine_keeps_a_reference_and_no_content():
    bench = Bench()
    await bench.execution().once("generate", bench.work)
    [reference] = bench.records.kept.values()
    assert list(reference) == ["payload"]
    assert "text" not in str(reference)


async def test_step_runs_again_after_a_crash_between_effect_and_record():
    bench = Bench()
    bench.records.crash_before_record = True
    with pytest.raises(Crash):
        await bench.execution().once("generate", bench.work)
    bench.records.crash_before_record = False
    assert await bench.execution().once("generate", bench.work) == "text 2"
    assert await bench.execution().once("generate", bench.work) == "text 2"


async def test_execution_that_was_replaced_cannot_change_what_the_other_gave():
    bench = Bench()

    async def slow() -> str:
        # While this one is at it, another execution takes the run over and finishes the step.
        assert await bench.execution().once("generate", bench.work) == "text 1"
        return "another text"

    await bench.execution().once("generate", slow)
    assert await bench.execution().once("generate", bench.work) == "text 1"


async def test_step_that_failed_fails_again_without_running():
    bench = Bench()

    async def failing() -> str:
        bench.calls += 1
        raise StepFailedError("rerank", Unavailable("away", reason="GONE"))

    for _ in range(2):
        with pytest.raises(StepFailedError) as raised:
            await bench.execution().once("rerank", failing)
        assert isinstance(raised.value.error, Unavailable)
        assert raised.value.error.reason == "GONE"
    assert bench.calls == 1


async def test_what_cannot_pass_by_itself_is_no_reason_to_try_again():
    bench = Bench()

    async def failing() -> str:
        raise StepFailedError("retrieve", NotFound("no such base"))

    for _ in range(2):
        with pytest.raises(StepFailedError) as raised:
            await bench.execution().once("retrieve", failing)
    assert not isinstance(raised.value.error, Unavailable)


async def test_step_of_the_seed_is_taken_over_and_said_to_be():
    bench = Bench()
    await bench.payloads.keep("acme", "run", "rerank", b'"seeded"', Payloads.SEALED)
    assert await bench.execution({"rerank": "rerank"}).once("rerank", bench.work) == "seeded"
    [step] = fold(bench.journal.events).steps
    assert (step.state, step.reason, bench.calls) == (StepState.SKIPPED, "TAKEN_OVER", 0)


@pytest.mark.parametrize(
    "content", [None, b'{"$": "data", "of": "sluice_gateway.domain.model:Gone", "is": {}}']
)
async def test_step_of_the_seed_that_cannot_be_read_runs(content: bytes | None):
    bench = Bench()
    if content is not None:
        await bench.payloads.keep("acme", "run", "rerank", content, Payloads.SEALED)
    assert await bench.execution({"rerank": "rerank"}).once("rerank", bench.work) == "text 1"


async def test_payload_that_is_gone_fails_the_step_with_its_reason():
    bench = Bench()
    await bench.execution().once("generate", bench.work)
    await bench.payloads.destroy("acme", "run")
    with pytest.raises(StepFailedError) as raised:
        await bench.execution().once("generate", bench.work)
    assert raised.value.error.reason == "PAYLOAD_NOT_RETAINED"


async def test_store_that_is_away_for_a_moment_fails_nothing(monkeypatch: pytest.MonkeyPatch):
    bench = Bench()
    monkeypatch.setattr(kept_outputs, "_WAITS", (0.0, 0.0))
    fails, keep = [Unavailable("away")] * 2, bench.payloads.keep

    async def failing(*arguments: object) -> str:
        if fails:
            raise fails.pop()
        return await keep(*arguments)

    monkeypatch.setattr(bench.payloads, "keep", failing)
    assert await bench.execution().once("generate", bench.work) == "text 1"
    assert bench.calls == 1
