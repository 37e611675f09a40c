"""The probe."""

import aiohttp
import pytest

from sluice_operator.probing import Health, probe


@pytest.mark.parametrize(
    ("leads", "objects", "pass_age", "silence", "problem"),
    [
        (True, 3, 10.0, 10.0, ""),
        (True, 3, 101.0, 10.0, "the last pass ended 101 s ago"),
        (True, 0, 101.0, 10.0, ""),
        (True, 3, 10.0, 301.0, "the watch of pods has told nothing for 301 s"),
        (False, 3, 101.0, 301.0, ""),
    ],
)
async def test_healthz_says_whether_a_restart_would_help(
    objects: int, pass_age: float, silence: float, problem: str, *, leads: bool
) -> None:
    health = Health(
        pass_limit=100.0,
        leads=leads,
        objects=lambda: objects,
        pass_age=lambda: pass_age,
        silence=lambda: (silence, "pods"),
    )
    async with (
        probe("127.0.0.1:0", health) as port,
        aiohttp.ClientSession() as session,
        session.get(f"http://127.0.0.1:{port}/healthz") as reply,
    ):
        told = await reply.json()
    assert (reply.status, told["problem"]) == (503 if problem else 200, problem)
    assert told["leads"] is leads


@pytest.mark.parametrize(("leads", "ready"), [(True, True), (True, False), (False, False)])
async def test_readyz_says_whether_this_process_does_the_work(*, leads: bool, ready: bool) -> None:
    async with (
        probe("127.0.0.1:0", Health(1.0, leads=leads, ready=ready)) as port,
        aiohttp.ClientSession() as session,
        session.get(f"http://127.0.0.1:{port}/readyz") as reply,
    ):
        assert reply.status == (200 if ready else 503)


async def test_no_address_no_probe() -> None:
    async with probe("", Health(1.0)) as port:
        assert port == 0
