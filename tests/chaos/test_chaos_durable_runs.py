"""Durable runs in real gateways that are killed, stopped and upgraded, on SQLite and on PostgreSQL."""

import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from sluice_gateway.audit import audit
from support.durable import STEPS, pipeline
from support.gateways import gateway
from support.service_doubles import Doubles, doubles

pytestmark = [pytest.mark.timeout(400), pytest.mark.filterwarnings("ignore::ResourceWarning")]

HELLO = [{"role": "user", "content": "Are you there?"}]
LONG = {step: {"timeout": "120s"} for step in STEPS}


@pytest.fixture
async def services() -> AsyncIterator[Doubles]:
    async with doubles(pipeline(**LONG)) as services:
        yield services


def _finished(services: Doubles, question: str) -> dict[str, int]:
    """How often each step was answered."""
    return {step: services.answered[step, question] for step in STEPS}


ONCE = dict.fromkeys(STEPS, 1)


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.needs("postgres"))])
def database_url(request: pytest.FixtureRequest) -> str:
    return "" if request.param == "sqlite" else request.getfixturevalue("postgres_url")


async def test_run_that_is_killed_at_every_step_does_none_twice(
    tmp_path: Path, services: Doubles, database_url: str
):
    question, run_id = "How long does it take?", ""
    for place, step in enumerate(STEPS):
        await services.hold(step)
        async with gateway(tmp_path, services, url=database_url) as killed:
            if not place:
                run_id = await killed.start_run(question)
            await services.until(lambda step=step: services.asked[step, question])
            assert _finished(services, question) == {
                before: int(STEPS.index(before) < place) for before in STEPS
            }
            await killed.kill()
        await services.until(lambda step=step: services.left[step, question])
    await services.hold()
    async with gateway(tmp_path, services, url=database_url) as last:
        run = await last.ended(run_id)
    assert _finished(services, question) == ONCE
    assert (run["state"], run["resumed"], run["executor"]) == ("answered", len(STEPS), "standard")
    answer = run["result"]["choices"][0]["message"]["content"]
    assert answer.startswith(f"{question} Answer 1 [1].")
    assert audit(tmp_path, tmp_path.parent / "journal.key", database_url).passed


@pytest.mark.needs("postgres")
async def test_replica_takes_over_cancels_and_is_upgraded(
    tmp_path: Path, services: Doubles, postgres_url: str
):
    await services.hold("generate")
    first, second = tmp_path / "first", tmp_path / "second"
    async with gateway(first, services, url=postgres_url, max_durable_runs="3") as old:
        going = {text: await old.start_run(text) for text in ("One?", "Two?", "Three?")}
        await services.until(lambda: all(services.asked["generate", text] for text in going))
        waiting = {text: await old.start_run(text) for text in ("Four?", "Five?")}  # in the queue
        async with gateway(second, services, url=postgres_url, version="2") as new:
            # Cancelled on another replica than the one that executes it.
            cancelled = await new.post(f"/v1/runs/{going['One?']}/cancel")
            assert (cancelled.status_code, cancelled.json()["state"]) == (200, "cancelled")
            await services.until(lambda: services.left["generate", "One?"], 20)
            # Replicas of both versions live: each executes its own.
            mine = await new.start_run("Six?")
            await services.until(lambda: services.asked["generate", "Six?"])
            await services.until(lambda: services.asked["generate", "Four?"])  # in the place of the first
            await old.kill()
            # Else a call whose caller is dead may still be answered, and counted.
            await services.until(
                lambda: all(services.left["generate", text] for text in ("Two?", "Three?", "Four?"))
            )
            await services.hold()
            # 30 s are promised: 10 until the dead replica's lease has run out, 10 for its version's.
            for text in ("Two?", "Three?", "Four?", "Five?"):
                run = await new.ended({**going, **waiting}[text])
                assert run["state"] == "answered", run
                if text == "Five?":
                    # The newer replica's bound holds for both, so the old one may have begun it and died within a step.
                    finished = _finished(services, text)
                    assert all(1 <= count <= 2 for count in finished.values()), finished
                else:
                    assert _finished(services, text) == ONCE, text
            assert (await new.ended(mine))["state"] == "answered"
    assert not services.answered["generate", "One?"]
    assert audit(first, tmp_path / "journal.key", postgres_url).passed


@pytest.mark.needs("postgres")
async def test_gateway_that_was_taken_for_dead_changes_nothing_when_it_comes_back(
    tmp_path: Path, services: Doubles, postgres_url: str
):
    question = "How long?"
    await services.hold("generate")
    async with gateway(tmp_path / "first", services, url=postgres_url) as frozen:
        run_id = await frozen.start_run(question)
        await services.until(lambda: services.asked["generate", question])
        async with gateway(tmp_path / "second", services, url=postgres_url) as other:
            frozen.signal(signal.SIGSTOP)
            await services.until(lambda: services.asked["generate", question] == 2, 45)
            await services.hold()
            run = await other.ended(run_id)
            frozen.signal(signal.SIGCONT)
            # It comes back with an answer of its own in hand, which counts no more.
            await frozen.says("recorded outcome")
            alive = await frozen.post("/v1/chat/completions", model="default", messages=HELLO)
            assert alive.status_code == 200
            assert (await other.run(run_id))["result"] == run["result"]
            events = (await frozen.http.get(f"/v1/runs/{run_id}/events")).text
            assert events.count('"run_ended"') == 1
    assert services.asked["generate", question] == 2
    assert services.answered["guard_output", question] == 1
    assert audit(tmp_path / "first", tmp_path / "journal.key", postgres_url).passed
