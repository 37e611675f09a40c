"""Requests, and the replicas that answer them, stop answering, come and go."""

import asyncio
import random
from collections.abc import Callable, Sequence
from contextlib import aclosing, suppress

import pytest

from sluice_api.objects.model_server import Routing
from sluice_api.snapshot import Endpoint
from sluice_inference.domain.model import Delta, Finish, FinishReason
from sluice_inference.domain.routing.model import Ask
from sluice_inference.domain.routing.queueing import Priority
from sluice_inference.engines.pool import Events, Order, Pool
from sluice_inference.engines.replica import Replica, Room
from sluice_servicekit import deadlines
from sluice_servicekit.errors import DeadlineExceeded, NotFound, ResourceExhausted, ServiceError, Unavailable

FINISH = Finish(FinishReason.STOP, "tiny")
ANY = Order(Ask())


def _endpoints(*names: str, draining: str = "") -> list[Endpoint]:
    return [Endpoint(name=name, url=f"http://{name}/v1", draining=name == draining) for name in names]


def _pool(*names: str, **routing: object) -> Pool:
    pool = Pool("test", chance=random.Random(1))
    pool.take_over(_endpoints(*names), Room(), Routing.model_validate(routing))
    return pool


class Servers:
    """What replicas do: each answers one piece and ends, or fails as is said here."""

    def __init__(self, **failing: ServiceError) -> None:
        self.failing = failing
        self.asked: list[str] = []
        self.left: list[str] = []
        self.gate = asyncio.Event()
        """Before the first piece."""
        self.gate.set()
        self.middle = asyncio.Semaphore(1 << 30)
        """After it, one for each request."""
        self.breaks: set[str] = set()
        """After the first piece."""

    async def call(self, replica: Replica) -> Events:
        self.asked.append(replica.name)
        try:
            await self.gate.wait()
            if replica.name in self.failing:
                raise self.failing[replica.name]
            yield Delta("a")
            await self.middle.acquire()
            if replica.name in self.breaks:
                raise Unavailable("broke off", reason="UPSTREAM_TRUNCATED")
            yield FINISH
        except (asyncio.CancelledError, GeneratorExit):
            self.left.append(replica.name)
            raise


async def _finish(pool: Pool, servers: Servers, order: Order = ANY) -> Finish:
    async with aclosing(pool.stream(order, servers.call)) as events:
        async for event in events:
            if isinstance(event, Finish):
                return event
    raise AssertionError("no finish")


async def _until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - what it waits for is no event
            await asyncio.sleep(0)


def _in_flight(pool: Pool) -> list[int]:
    return [replica.in_flight for replica in pool.replicas]


LOST = Unavailable("gone", reason="UPSTREAM_UNREACHABLE")
FAILED = Unavailable("500", reason="UPSTREAM_FAILED")
BUSY = ResourceExhausted("429", reason="UPSTREAM_BUSY", retry_after=5.0)


async def test_requests_go_to_who_has_least_to_do():
    pool, servers = _pool("a", "b", "c"), Servers()
    servers.gate.clear()
    asking = [asyncio.create_task(_finish(pool, servers)) for _ in range(6)]
    await _until(lambda: len(servers.asked) == 6)
    assert _in_flight(pool) == [2, 2, 2]
    servers.gate.set()
    finishes = await asyncio.gather(*asking)
    assert sorted(finish.replica for finish in finishes) == ["a", "a", "b", "b", "c", "c"]
    assert _in_flight(pool) == [0, 0, 0]


@pytest.mark.parametrize("error", [LOST, FAILED, BUSY])
async def test_another_replica_is_asked_before_the_first_piece(error: ServiceError):
    pool, servers = _pool("a", "b"), Servers(a=error)
    for _ in range(4):
        assert (await _finish(pool, servers)).replica == "b"
    assert servers.asked.count("a") <= 4
    assert _in_flight(pool) == [0, 0]


async def test_no_other_is_asked_after_the_first_piece():
    pool, servers = _pool("a", "b"), Servers()
    servers.breaks = {"a", "b"}
    with pytest.raises(Unavailable) as raised:
        await _finish(pool, servers)
    assert raised.value.reason == "UPSTREAM_TRUNCATED"
    assert len(servers.asked) == 1


async def test_attempts_are_bounded():
    pool, servers = _pool(*"abcdef", attempts=3), Servers(**dict.fromkeys("abcdef", LOST))
    with pytest.raises(Unavailable):
        await _finish(pool, servers)
    assert len(servers.asked) == len(set(servers.asked)) == 3


async def test_failures_of_a_server_are_sent_again_within_a_budget_and_lost_ones_always():
    servers = Servers(**dict.fromkeys("ab", FAILED))
    pool = _pool("a", "b")
    for _ in range(200):
        with pytest.raises(Unavailable):
            await _finish(pool, servers)
    # A fifth of all, and twenty at once.
    assert 200 <= len(servers.asked) <= 200 + 40 + 20

    pool, servers = _pool("a", "b"), Servers(a=LOST)
    servers.gate.clear()
    asking = [asyncio.create_task(_finish(pool, servers)) for _ in range(200)]
    await _until(lambda: len(servers.asked) == 200)
    servers.gate.set()
    assert {finish.replica for finish in await asyncio.gather(*asking)} == {"b"}


async def test_busy_server_is_the_answer_where_no_other_is_free():
    pool, servers = _pool("a", "b"), Servers(a=BUSY, b=BUSY)
    for _ in range(2):
        with pytest.raises(ResourceExhausted) as raised:
            await _finish(pool, servers)
        assert raised.value.retry_after == 5.0


async def test_model_that_one_does_not_serve_is_asked_of_another():
    unknown = NotFound("404", reason="UPSTREAM_MODEL_NOT_FOUND")
    pool, servers = _pool("a", "b"), Servers(a=unknown)
    for _ in range(4):
        assert (await _finish(pool, servers, Order(Ask("x")))).replica == "b"
    assert servers.asked.count("a") <= 1
    alone = Servers(a=unknown, b=unknown)
    with pytest.raises(NotFound):
        await _finish(pool, alone)
    assert len(alone.asked) == 1  # the base model is the same everywhere


async def test_failing_replica_is_left_alone_then_tried_and_taken_back():
    now = [0.0]
    pool, servers = Pool("test", lambda: now[0], random.Random(1)), Servers(a=LOST)
    pool.take_over(_endpoints("a", "b"), Room(), Routing())
    for _ in range(40):
        await _finish(pool, servers)
    assert servers.asked.count("a") == 5
    now[0] = 2.0  # longer than a breaker stays open at first
    del servers.failing["a"]
    for _ in range(20):
        await _finish(pool, servers)
    assert servers.asked.count("a") > 7


async def test_last_replica_is_tried_however_it_failed():
    pool, servers = _pool("a"), Servers(a=LOST)
    for _ in range(20):
        with pytest.raises(Unavailable, match="gone"):
            await _finish(pool, servers)
    del servers.failing["a"]
    assert (await _finish(pool, servers)).replica == "a"


async def test_no_more_than_half_are_left_alone_because_requests_fail():
    pool = _pool(*"abcd")
    servers = Servers(**dict.fromkeys("abcd", FAILED))
    for _ in range(100):
        with suppress(Unavailable):
            await _finish(pool, servers)
    before = len(servers.asked)
    for _ in range(50):
        with suppress(Unavailable):
            await _finish(pool, servers)
    assert len(set(servers.asked[before:])) >= 2


async def test_caller_who_leaves_frees_the_place_at_once():
    pool, servers = _pool("a", max_in_flight=1), Servers()
    servers.gate.clear()
    asking = asyncio.create_task(_finish(pool, servers))
    await _until(lambda: servers.asked == ["a"])
    waiting = asyncio.create_task(_finish(pool, servers))
    await asyncio.sleep(0)
    asking.cancel()
    await _until(lambda: len(servers.asked) == 2)
    assert servers.left == ["a"]
    servers.gate.set()
    finish = await waiting
    assert finish.queued_seconds > 0.0


async def _queued(pool: Pool, servers: Servers, orders: Sequence[Order]) -> list[asyncio.Task[Finish]]:
    """One request is at the only replica; these wait, in this order."""
    servers.gate.clear()
    asking = [asyncio.create_task(_finish(pool, servers))]
    await _until(lambda: len(servers.asked) == 1)
    for order in orders:
        asking.append(asyncio.create_task(_finish(pool, servers, order)))
        await asyncio.sleep(0)
    return asking


async def test_those_that_wait_go_by_urgency_and_fairly_between_tenants():
    pool, servers, ended = _pool("a", max_in_flight=1), Servers(), []
    kinds = [(Priority.BACKGROUND, "x"), *[(Priority.BATCH, "large")] * 3, (Priority.BATCH, "small")]
    kinds.append((Priority.INTERACTIVE, "y"))
    asking = await _queued(pool, servers, [Order(Ask(), tenant, priority) for priority, tenant in kinds])
    for task, kind in zip(asking[1:], kinds, strict=True):
        task.add_done_callback(lambda _, kind=kind: ended.append(kind[1]))
    servers.gate.set()
    await asyncio.gather(*asking)
    assert ended == ["y", "large", "small", "large", "large", "x"]


async def test_full_queue_refuses_and_says_when_to_come_again():
    pool, servers = _pool("a", max_in_flight=1, max_queued=2), Servers()
    asking = await _queued(pool, servers, [Order(Ask(), "large", Priority.BATCH)] * 2)
    with pytest.raises(ResourceExhausted) as raised:
        await _finish(pool, servers, Order(Ask(), "large", Priority.BATCH))
    assert raised.value.reason == "QUEUE_FULL"
    assert raised.value.retry_after
    urgent = asyncio.create_task(_finish(pool, servers, Order(Ask(), "small")))
    await asyncio.sleep(0)
    servers.gate.set()
    assert (await urgent).replica == "a"
    results = await asyncio.gather(*asking, return_exceptions=True)
    assert [isinstance(result, ResourceExhausted) for result in results] == [False, False, True]


async def test_request_whose_time_is_over_leaves_the_queue():
    pool, servers = _pool("a", max_in_flight=1), Servers()
    asking = await _queued(pool, servers, [])
    with deadlines.limit(0.05), pytest.raises(DeadlineExceeded) as raised:
        await _finish(pool, servers)
    assert raised.value.reason == "QUEUE_TIMEOUT"
    servers.gate.set()
    await asyncio.gather(*asking)
    assert servers.asked == ["a"]


async def test_request_that_would_wait_too_long_is_refused_at_once():
    now = [0.0]
    pool, servers = Pool("test", lambda: now[0], random.Random(1)), Servers()
    pool.take_over(_endpoints("a"), Room(), Routing(max_in_flight=1))
    servers.middle = asyncio.Semaphore(0)
    asking = await _queued(pool, servers, [ANY] * 5)
    servers.gate.set()
    for asked in range(2, 5):  # each takes ten minutes
        now[0] += 600.0
        servers.middle.release()
        await _until(lambda asked=asked: len(servers.asked) == asked)
    with deadlines.limit(60.0), pytest.raises(ResourceExhausted) as raised:
        await _finish(pool, servers)
    assert raised.value.reason == "QUEUE_TOO_SLOW"
    for _ in range(3):
        servers.middle.release()
    await asyncio.gather(*asking)


@pytest.mark.parametrize("after", [_endpoints("b"), _endpoints("a", "b", draining="a")])
async def test_replica_that_goes_ends_its_streams_and_gets_no_new_ones(after: list[Endpoint]):
    pool, servers = _pool("a"), Servers()
    servers.middle = asyncio.Semaphore(0)
    stream = asyncio.create_task(_finish(pool, servers))
    await _until(lambda: servers.asked == ["a"])
    pool.take_over(after, Room(), Routing())
    new = [asyncio.create_task(_finish(pool, servers)) for _ in range(4)]
    await _until(lambda: len(servers.asked) == 5)
    for _ in range(5):
        servers.middle.release()
    assert (await stream).replica == "a"
    assert {finish.replica for finish in await asyncio.gather(*new)} == {"b"}


async def test_those_that_wait_go_to_a_replica_that_comes():
    pool, servers = _pool("a", max_in_flight=1), Servers()
    asking = await _queued(pool, servers, [ANY])
    pool.take_over(_endpoints("a", "b"), Room(), Routing(max_in_flight=1))
    await _until(lambda: servers.asked == ["a", "b"])
    servers.gate.set()
    await asyncio.gather(*asking)


async def test_server_without_replicas_says_so():
    pool, servers = _pool(), Servers()
    with pytest.raises(Unavailable) as raised:
        await _finish(pool, servers)
    assert raised.value.reason == "NO_REPLICA"


async def test_adapter_stays_on_its_replica():
    pool, servers = _pool("a", "b", "c"), Servers()
    replicas = {(await _finish(pool, servers, Order(Ask("x")))).replica for _ in range(20)}
    assert len(replicas) == 1
