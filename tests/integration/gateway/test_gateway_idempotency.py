"""Requests under one key, on SQLite and on a real PostgreSQL, from two replicas that share it."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import pytest_asyncio

from sluice_api.objects.pipeline import Payloads
from sluice_gateway.domain.model import Principal
from sluice_gateway.idempotency.idempotency import LEASE, RETENTION, Attempt, Idempotency
from sluice_gateway.idempotency.keys import Keyed, keyed
from sluice_gateway.idempotency.recorded import Recorded
from sluice_gateway.payloads.memory import MemoryPayloads
from sluice_gateway.payloads.port import PayloadNotRetained
from sluice_gateway.storage.database import Database
from sluice_servicekit.errors import Conflict, InvalidArgument, NotFound, Unavailable

BOTH = [pytest.param("sqlite"), pytest.param("postgres", marks=pytest.mark.needs("postgres"))]

RESPONSE = Recorded(b'{"answer": 40}', 200, {"content-type": "application/json"})


def asked(key: str = "k", content: bytes = b"{}", subject: str = "ann", tenant: str = "acme") -> Keyed:
    return keyed(Principal(tenant, subject), key, "/v1/chat/completions", content, field="Idempotency-Key")


@dataclass
class Replicas:
    """Gateways on one database and one store of payloads."""

    database: Database
    payloads: MemoryPayloads = field(default_factory=MemoryPayloads)
    time: float = 1_000_000.0
    opened: list[Idempotency] = field(default_factory=list)

    def another(self, patience: float = 5.0) -> Idempotency:
        self.opened.append(Idempotency(self.database, self.payloads, lambda: self.time, patience=patience))
        return self.opened[-1]


@pytest_asyncio.fixture(params=BOTH)
async def replicas(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Replicas]:
    url = request.getfixturevalue("postgres_url") if request.param == "postgres" else ""
    replicas = Replicas(Database(tmp_path, url))
    yield replicas
    for idempotency in replicas.opened:
        await idempotency.aclose()
    replicas.database.close()


async def first(idempotency: Idempotency, request: Keyed) -> Attempt:
    attempt = await idempotency.begin(request)
    assert isinstance(attempt, Attempt)
    return attempt


async def test_second_request_gets_the_first_ones_response_from_any_replica(replicas: Replicas) -> None:
    attempt = await first(replicas.another(), asked())
    await attempt.done("run-1", RESPONSE, Payloads.SEALED)
    assert await replicas.another().begin(asked()) == RESPONSE


async def test_other_request_under_the_key_is_refused_running_or_done(replicas: Replicas) -> None:
    here, there = replicas.another(), replicas.another()
    attempt = await first(here, asked())
    for _ in range(2):
        with pytest.raises(Conflict) as caught:
            await there.begin(asked(content=b'{"n": 2}'))
        assert caught.value.reason == "IDEMPOTENCY_KEY_REUSED"
        await attempt.done("run-1", RESPONSE, Payloads.SEALED)


async def test_keys_are_a_subjects_own(replicas: Replicas) -> None:
    here = replicas.another()
    attempts = [
        await first(here, request)
        for request in (asked(), asked(subject="bob"), asked(tenant="other"), asked(key="other"))
    ]
    for attempt in attempts:
        attempt.free()


@pytest.mark.parametrize("elsewhere", [False, True])
async def test_request_that_comes_meanwhile_waits_for_the_first(replicas: Replicas, elsewhere: bool) -> None:
    here = replicas.another()
    there = replicas.another() if elsewhere else here
    attempt = await first(here, asked())
    waiting = [asyncio.create_task(there.begin(asked())) for _ in range(3)]
    await asyncio.sleep(0.3)
    assert not any(task.done() for task in waiting)
    await attempt.done("run-1", RESPONSE, Payloads.SEALED)
    assert await asyncio.gather(*waiting) == [RESPONSE] * 3


async def test_many_at_once_from_two_replicas_run_once(replicas: Replicas) -> None:
    both = [replicas.another(), replicas.another()]
    ran = 0

    async def send(number: int) -> Recorded:
        nonlocal ran
        begun = await both[number % 2].begin(asked())
        if isinstance(begun, Recorded):
            return begun
        ran += 1
        await begun.done("run-1", RESPONSE, Payloads.SEALED)
        return RESPONSE

    assert await asyncio.gather(*(send(number) for number in range(16))) == [RESPONSE] * 16
    assert ran == 1


async def test_key_that_is_let_go_runs_again_and_wakes_who_waits(replicas: Replicas) -> None:
    here = replicas.another()
    attempt = await first(here, asked())
    waiting = asyncio.create_task(here.begin(asked()))
    await asyncio.sleep(0)
    attempt.free()
    again = await waiting
    assert isinstance(again, Attempt)
    again.free()


async def test_gateway_that_died_frees_its_key_with_its_lease(replicas: Replicas) -> None:
    dead = await first(replicas.another(), asked())
    replicas.time += LEASE + 1
    again = await first(replicas.another(), asked())
    await again.done("run-2", RESPONSE, Payloads.SEALED)
    # The dead one was only slow: what it has is too late.
    await dead.done("run-1", Recorded(b"late"), Payloads.SEALED)
    assert await replicas.another().begin(asked()) == RESPONSE


async def test_other_request_does_not_take_the_key_of_a_gateway_that_died(replicas: Replicas) -> None:
    dead = await first(replicas.another(), asked())
    replicas.time += LEASE + 1
    with pytest.raises(Conflict):
        await replicas.another().begin(asked(content=b'{"n": 2}'))
    dead.free()


async def test_key_is_forgotten_after_a_day(replicas: Replicas) -> None:
    here = replicas.another()
    await (await first(here, asked())).done("run-1", RESPONSE, Payloads.SEALED)
    replicas.time += RETENTION + 1
    here._cleaned = replicas.time  # rows may be there still
    (await first(here, asked(content=b'{"n": 2}'))).free()


async def test_who_waits_too_long_is_told_the_run(replicas: Replicas) -> None:
    here = replicas.another()
    attempt = await first(here, asked())
    attempt.run_id = "run-1"
    await here.hold(asked(), attempt._name, "run-1")
    with pytest.raises(Conflict) as caught:
        await replicas.another(patience=0.1).begin(asked())
    assert caught.value.reason == "IDEMPOTENCY_KEY_IN_USE"
    assert caught.value.metadata == {"run_id": "run-1"}
    attempt.free()


async def test_response_that_was_not_kept_is_a_conflict_that_names_the_run(replicas: Replicas) -> None:
    here = replicas.another()
    await (await first(here, asked())).done("run-1", RESPONSE, Payloads.NONE)
    await (await first(here, asked("destroyed"))).done("run-2", RESPONSE, Payloads.SEALED)
    await replicas.payloads.destroy("acme", "run-2")
    for key, run in (("k", "run-1"), ("destroyed", "run-2")):
        with pytest.raises(PayloadNotRetained) as caught:
            await here.begin(asked(key))
        assert caught.value.metadata == {"run_id": run}
        assert run in caught.value.message


async def test_caller_that_leaves_while_it_claims_leaves_the_key_free(replicas: Replicas) -> None:
    here = replicas.another()
    claiming = asyncio.create_task(here.begin(asked()))
    await asyncio.sleep(0)
    claiming.cancel()
    await asyncio.wait({claiming})
    attempt = await first(here, asked())
    attempt.free()


async def test_without_the_database_nothing_runs(replicas: Replicas, monkeypatch: pytest.MonkeyPatch) -> None:
    here = replicas.another()

    async def gone(_: object) -> None:
        raise Unavailable("gone", reason="DATABASE_UNAVAILABLE")

    monkeypatch.setattr(replicas.database, "run", gone)
    with pytest.raises(Unavailable):
        await here.begin(asked())


@pytest.mark.parametrize("key", ["", " ", "a b", "k" * 256, "ключ", "a\nb", "\x7f"])
def test_malformed_key_is_refused(key: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        asked(key)
    assert (caught.value.reason, caught.value.field) == ("INVALID_IDEMPOTENCY_KEY", "Idempotency-Key")


def test_error_is_the_same_after_it_was_kept() -> None:
    error = InvalidArgument("wrong", reason="WRONG", field="n", metadata={"run_id": "r"})
    again = Recorded.read(Recorded.of_error(error).content()).error()
    assert type(again) is InvalidArgument
    assert (again.message, again.reason, again.field, again.metadata) == (
        "wrong",
        "WRONG",
        "n",
        {"run_id": "r"},
    )
    assert isinstance(Recorded.of_error(NotFound("gone")).error(), NotFound)
