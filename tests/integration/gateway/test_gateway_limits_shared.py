"""Limits that several replicas apply together, on a real PostgreSQL; and one replica's on SQLite."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from sluice_gateway.access.counters import SLOTS_EXPIRE, DatabaseCounters
from sluice_gateway.domain.limiting.exceeded import LimitExceeded
from sluice_gateway.domain.limiting.limiter import Limiter, Reservation
from sluice_gateway.domain.limiting.limits import Limits, Scope, rules_of
from sluice_gateway.domain.limiting.meter import Meter
from sluice_gateway.storage.database import Database
from support.postgres import PostgresServer


class Clock:
    """One clock for all replicas; it stands still unless it is moved."""

    now = datetime(2026, 3, 15, 12, tzinfo=UTC).timestamp()

    def __call__(self) -> float:
        return self.now


class Replicas:
    """Limiters of gateways that share a database, each with connections of its own."""

    def __init__(self, folder: Path, url: str, count: int) -> None:
        self.clock = Clock()
        self.databases = [Database(folder / str(index), url, workers=2) for index in range(count)]
        self.limiters = [
            Limiter(DatabaseCounters(database, f"replica-{index}", self.clock), self.clock)
            for index, database in enumerate(self.databases)
        ]

    async def passed(self, scopes: list[Scope], requests: int, tokens: int = 0) -> list[int]:
        """How many each lets in, where all are asked at the same time."""
        return await asyncio.gather(*(self._passed(one, scopes, requests, tokens) for one in self.limiters))

    async def _passed(self, limiter: Limiter, scopes: list[Scope], requests: int, tokens: int) -> int:
        passed = 0
        for _ in range(requests):
            await limiter.provide(scopes, tokens, run=False)
            try:
                limiter.reserve(scopes, tokens, run=False)
            except LimitExceeded:
                await asyncio.sleep(0)
            else:
                passed += 1
        return passed


async def take(limiter: Limiter, scopes: list[Scope], most: int) -> list[Reservation]:
    """Starts runs until no more may."""
    taken = []
    for _ in range(most):
        await limiter.provide(scopes)
        try:
            taken.append(limiter.reserve(scopes))
        except LimitExceeded:
            break
    return taken


@contextmanager
def two_replicas(folder: Path, url: str) -> Iterator[Replicas]:
    made = Replicas(folder, url, 2)
    try:
        yield made
    finally:
        for database in made.databases:
            database.close()


@pytest.fixture
def two(tmp_path: Path, postgres_url: str) -> Iterator[Replicas]:
    with two_replicas(tmp_path, postgres_url) as made:
        yield made


def scope(**limits: int) -> list[Scope]:
    return [Scope("tenant:acme", Limits(**limits))]


@pytest.mark.needs("postgres")
async def test_two_replicas_let_the_limit_through_together(two: Replicas):
    scopes = scope(requests_per_minute=200)
    passed = await two.passed(scopes, 300)
    # never more; less by what lies leased and unused at the other
    block = Meter("", next(rules_of(scopes[0].limits))).block
    assert 200 - 2 * block <= sum(passed) <= 200
    assert min(passed) > 0
    two.clock.now += 30
    assert sum(await two.passed(scopes, 300)) <= 100 + 2 * block


@pytest.mark.needs("postgres")
async def test_two_replicas_spend_a_budget_together_and_what_is_idle_goes_back(two: Replicas):
    scopes = scope(tokens_per_day=10_000)
    assert 9_800 <= 100 * sum(await two.passed(scopes, 80, tokens=100)) <= 10_000
    two.clock.now += 10
    for limiter in two.limiters:
        await limiter.tend()
    left = await two.passed(scopes, 5, tokens=10)
    assert sum(left) * 10 + 9_800 <= 10_000


@pytest.mark.needs("postgres")
async def test_two_replicas_share_slots_and_those_of_a_dead_one_come_back(two: Replicas):
    scopes = scope(concurrency=4)
    living, dying = two.limiters
    assert len(await take(dying, scopes, 3)) == 3
    assert len(await take(living, scopes, 4)) == 1
    for _ in range(4):  # both live: slots stay whose they are
        two.clock.now += SLOTS_EXPIRE / 2
        await asyncio.gather(living.tend(), dying.tend())
    assert await take(living, scopes, 4) == []
    two.clock.now += SLOTS_EXPIRE / 2
    await living.tend()
    assert await take(living, scopes, 4) == []
    two.clock.now += SLOTS_EXPIRE / 2 + 0.1
    await living.tend()
    assert len(await take(living, scopes, 4)) == 3


@pytest.mark.needs("postgres")
async def test_slot_that_one_replica_gives_back_is_the_others_at_once(two: Replicas):
    scopes = scope(concurrency=1)
    one, other = two.limiters
    [taken] = await take(one, scopes, 2)
    assert await take(other, scopes, 1) == []
    one.release(taken)
    await one.close()  # waits for what goes back by itself
    two.clock.now += 0.3
    assert len(await take(other, scopes, 1)) == 1


@pytest.mark.needs("postgres")
async def test_replica_that_stops_leaves_all_it_had(two: Replicas):
    scopes = scope(tokens_per_month=1000, concurrency=100)
    one, other = two.limiters
    await one.provide(scopes, 500)
    reservation = one.reserve(scopes, 500)
    one.settle(reservation, 100)
    one.release(reservation)
    await one.close()
    await other.provide(scopes, 900)
    assert other.reserve(scopes, 900)


@pytest.mark.needs("postgres")
async def test_database_that_goes_leaves_each_replica_the_limit(
    tmp_path: Path, stoppable_postgres: PostgresServer
):
    scopes = scope(requests_per_minute=100)
    with two_replicas(tmp_path, stoppable_postgres.new_database()) as two:
        assert sum(await two.passed(scopes, 10)) == 20
        stoppable_postgres.stop()
        passed = await two.passed(scopes, 300)
    assert all(80 <= one <= 110 for one in passed)


async def test_one_replica_keeps_its_budgets_over_a_restart(tmp_path: Path):
    scopes = scope(tokens_per_day=1000)
    for expected in (6, 4):
        replicas = Replicas(tmp_path, "", 1)
        assert await replicas.passed(scopes, 6, tokens=100) == [expected]
        await replicas.limiters[0].close()
        replicas.databases[0].close()
