"""Callers who leave at any moment: every run ends, nothing stays behind, no service complains."""

import asyncio
import random
from collections import Counter
from pathlib import Path

import httpx
import pytest

from support import handbook
from support.running import Running, running, until

pytestmark = pytest.mark.processes

END_STATES = {"answered", "blocked", "cancelled"}


async def _ask_and_leave(up: Running, count: int, seed: int) -> Counter[str]:
    chance = random.Random(seed)
    questions = [question.text for question in handbook.questions()]
    outcomes: Counter[str] = Counter()
    limits = httpx.Limits(max_connections=None)
    async with httpx.AsyncClient(base_url=up.url, timeout=30, limits=limits, verify=False) as http:

        async def one(start: float, patience: float, *, stream: bool, question: str) -> None:
            await asyncio.sleep(start)
            messages = [{"role": "user", "content": question}]
            body = {"model": "default", "messages": messages, "stream": stream}
            try:
                async with asyncio.timeout(patience):
                    outcomes[str((await http.post("/v1/chat/completions", json=body)).status_code)] += 1
            except TimeoutError:
                outcomes["left"] += 1

        await asyncio.gather(
            *(
                one(
                    chance.uniform(0, 4),
                    chance.choice([0.005, 0.02, 0.05, 20]),
                    stream=chance.random() < 0.5,
                    question=chance.choice(questions),
                )
                for _ in range(count)
            )
        )
    return outcomes


def test_callers_who_leave_leave_nothing_behind(tmp_path: Path):
    with running(tmp_path / "data") as up:
        up.ingest(handbook.documents())
        outcomes = asyncio.run(_ask_and_leave(up, 160, seed=7))
        assert set(outcomes) == {"200", "left"}

        def in_flight() -> str:
            with up.http() as http:
                lines = http.get("/metrics").text.splitlines()
            return next(line for line in lines if line.startswith("sluice_gateway_in_flight "))

        until(lambda: in_flight().endswith(" 0.0"), 60, "no run is going on")
        with up.http() as http:
            runs = http.get("/v1/runs?limit=1000").json()["runs"]
        assert {run["state"] for run in runs} <= END_STATES
        assert len(runs) >= outcomes["200"]
    for log in (tmp_path / "data" / "logs").glob("*.log"):
        assert '"ERROR"' not in log.read_text(), log.name
        assert "Traceback" not in log.read_text(), log.name
