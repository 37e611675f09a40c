"""Identical requests in flight share one run: who gets what, who may leave, who ends it."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing

import pytest

from sluice_api.objects.answer_cache import AnswerCache, ExactCache
from sluice_api.objects.guardrail_policy import StreamingMode
from sluice_gateway.domain.caching.answering import Answering, CacheControl
from sluice_gateway.domain.caching.answers import Answers
from sluice_gateway.domain.coalescing import Coalescer, Shared
from sluice_gateway.domain.model import Message, Principal, RunRequest, Sampling
from sluice_gateway.domain.outcome import CacheUse, RunFailedError, RunResult
from sluice_gateway.domain.run import RunState, fold
from sluice_servicekit import deadlines
from sluice_servicekit.errors import Internal, ResourceExhausted
from support.run_bench import Bench


def asked(text: str = "How long?", tenant: str = "acme", **more: object) -> RunRequest:
    return RunRequest("default", Principal(tenant), (Message("user", text),), **more)  # type: ignore[arg-type]


def over(bench: Bench) -> Answering:
    executor = bench.executor()
    answers = Answers(1 << 20, lambda: 0.0)
    return Answering(executor, lambda: bench.snapshot, bench.world, answers, Coalescer())


@pytest.fixture
def bench() -> Bench:
    return Bench(cache=AnswerCache(coalesce=True))


def record(bench: Bench, run_id: str):
    return fold([event for event in bench.journal.events if event.run_id == run_id])


async def test_followers_get_the_leaders_answer_under_runs_of_their_own(bench: Bench) -> None:
    answering = over(bench)
    runs = [await answering.admit(asked()) for _ in range(3)]
    first, *others = await asyncio.gather(*(run.result() for run in runs))
    assert bench.world.calls.count("generate") == bench.world.calls.count("guard_input") == 1
    assert {result.text for result in others} == {first.text}
    assert len({result.run_id for result in (first, *others)}) == 3
    assert first.cache is None
    for run, result in zip(runs[1:], others, strict=True):
        assert run.cache == result.cache == CacheUse("coalesced", run_id=first.run_id)
        kept = record(bench, result.run_id)
        assert (kept.state, [step.name for step in kept.steps]) == (RunState.ANSWERED, ["coalesce"])
        assert first.run_id in kept.steps[0].detail
    assert (await (await answering.admit(asked())).result()).cache is None  # nothing is in flight any more


@pytest.mark.parametrize(
    "other",
    [
        asked(tenant="other"),
        asked("How wide?"),
        asked(stream=True),
        asked(sampling=Sampling(max_tokens=3)),
    ],
)
async def test_what_differs_shares_nothing(bench: Bench, other: RunRequest) -> None:
    answering = over(bench)
    runs = [await answering.admit(request) for request in (asked(), other)]
    await asyncio.gather(*(run.result() for run in runs))
    assert bench.world.calls.count("generate") == 2


async def test_request_after_a_write_does_not_share_a_run_from_before_it(bench: Bench) -> None:
    answering = over(bench)
    first = await answering.admit(asked())
    bench.world.epoch = "2"
    second = await answering.admit(asked())
    await asyncio.gather(first.result(), second.result())
    assert bench.world.calls.count("generate") == 2


@pytest.mark.parametrize("control", ["no-cache", "no-store"])
async def test_request_that_wants_no_cache_shares_nothing(bench: Bench, control: str) -> None:
    answering = over(bench)
    runs = [await answering.admit(asked()), await answering.admit(asked(), CacheControl.read(control))]
    await asyncio.gather(*(run.result() for run in runs))
    assert bench.world.calls.count("generate") == 2


async def test_follower_of_a_stream_gets_every_piece_from_the_start() -> None:
    bench = Bench(cache=AnswerCache(coalesce=True), streaming=StreamingMode.WINDOW)
    answering = over(bench)
    leader, follower = [await answering.admit(asked(stream=True)) for _ in range(2)]
    async with aclosing(leader.events()) as leading:
        pieces: list[object] = [await anext(leading), await anext(leading)]
        following = [event async for event in follower.events()]
        pieces += [event async for event in leading]
    assert pieces[:-1] == following[:-1] != []
    assert bench.world.calls.count("generate") == 1


async def test_leader_leaves_and_followers_stay(bench: Bench) -> None:
    answering = over(bench)
    bench.world.wait["generate"] = 0.05
    leader, follower = [asyncio.create_task((await answering.admit(asked())).result()) for _ in range(2)]
    await bench.world.called["generate"].wait()
    leader.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leader
    result = await follower
    assert result.state is RunState.ANSWERED
    assert bench.world.calls.count("generate") == 1
    assert result.cache is not None
    assert record(bench, result.cache.run_id).state is RunState.ANSWERED


async def test_run_is_cancelled_once_all_have_left_and_the_next_request_starts_anew(bench: Bench) -> None:
    answering = over(bench)
    bench.world.wait["generate"] = 60.0
    tasks = [asyncio.create_task((await answering.admit(asked())).result()) for _ in range(3)]
    await bench.world.called["generate"].wait()
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
    assert {record(bench, f"run-{number}").state for number in range(3)} == {RunState.CANCELLED}
    bench.world.wait["generate"] = 0.0
    assert (await (await answering.admit(asked())).result()).state is RunState.ANSWERED


async def test_request_that_comes_while_the_last_one_leaves_starts_anew() -> None:
    class Lingering(Pieces):
        left = asyncio.Event()

        async def events(self) -> AsyncGenerator[str | RunResult, None]:
            try:
                yield "a"
                await asyncio.sleep(60)
            finally:
                self.left.set()
                await asyncio.sleep(0.01)

    def follow(shared: Shared):
        raise AssertionError("nobody may join what is being cancelled")

    coalescer = Coalescer()
    reading = coalescer.join(b"k", lambda: Lingering(1), follow).events()
    assert await anext(reading) == "a"
    leaving = asyncio.create_task(reading.aclose())
    await Lingering.left.wait()
    coalescer.join(b"k", lambda: Pieces(1), follow)
    await leaving


async def test_failure_is_everybodys_under_their_own_run(bench: Bench) -> None:
    answering = over(bench)
    bench.world.fail["generate"] = [Internal("broken")]
    runs = [await answering.admit(asked()) for _ in range(2)]
    failed = await asyncio.gather(*(run.result() for run in runs), return_exceptions=True)
    assert [type(each) for each in failed] == [RunFailedError, RunFailedError]
    assert [each.run_id for each in failed] == [run.run_id for run in runs]  # type: ignore[union-attr]
    assert record(bench, runs[1].run_id).reason == "generate: INTERNAL"


async def test_deadline_of_the_first_does_not_end_the_run_for_the_others(bench: Bench) -> None:
    answering = over(bench)
    bench.world.wait["generate"] = 0.2
    leader, follower = [await answering.admit(asked()) for _ in range(2)]

    async def hurried() -> RunResult:
        with deadlines.limit(0.05):
            async with asyncio.timeout(0.05):
                return await leader.result()

    hurrying, waiting = asyncio.create_task(hurried()), asyncio.create_task(follower.result())
    with pytest.raises(TimeoutError):
        await hurrying
    assert (await waiting).state is RunState.ANSWERED


async def test_observers_learn_of_followers_without_tokens() -> None:
    told = []

    class Observer:
        def run_ended(self, ended) -> None:
            told.append(ended)

    bench = Bench(cache=AnswerCache(coalesce=True, exact=ExactCache()))
    answering = over(bench)
    answering.executor._observers = (Observer(),)
    runs = [await answering.admit(asked()) for _ in range(2)]
    await asyncio.gather(*(run.result() for run in runs))
    assert sorted(ended.run_id for ended in told) == sorted(run.run_id for run in runs)
    assert [ended.cache for ended in told].count("coalesced") == 1
    assert next(ended for ended in told if ended.run_id == runs[1].run_id).usage.prompt_tokens == 0


class Pieces:
    """A run of many pieces."""

    run_id = "r"
    cache = None
    assignment = None

    def __init__(self, count: int, ended: Callable[[], None] = lambda: None) -> None:
        self.count, self.ended = count, ended

    async def events(self) -> AsyncGenerator[str | RunResult, None]:
        for number in range(self.count):
            yield f"{number:04}"
            await asyncio.sleep(0)
        yield RunResult("r", RunState.ANSWERED, "", "stop")
        self.ended()

    async def result(self) -> RunResult:
        raise NotImplementedError


async def test_slow_reader_holds_nobody_back_and_loses_only_its_own_answer() -> None:
    done = asyncio.Event()
    shared = Shared(Pieces(100, done.set), lambda: None, most_held=40)
    for _ in range(2):
        shared.join()
    slow = shared.read()
    assert await anext(slow) == "0000"
    quick = [event async for event in shared.read()]
    assert done.is_set()
    assert [event for event in quick if isinstance(event, str)] == [f"{number:04}" for number in range(100)]
    with pytest.raises(ResourceExhausted) as caught:
        await anext(slow)
    assert caught.value.reason == "READS_TOO_SLOWLY"


async def test_nobody_joins_a_run_whose_start_is_no_longer_held() -> None:
    coalescer = Coalescer()

    def follow(shared: Shared):
        raise AssertionError("it gets no more than the end")

    first = coalescer.join(b"k", lambda: Pieces(1000), follow)
    second = Pieces(2)
    async with aclosing(first.events()) as events:
        shared = first._shared  # type: ignore[union-attr]
        shared._most_held = 10
        for _ in range(20):
            await anext(events)
        assert coalescer.join(b"k", lambda: second, follow).run_id == "r"
