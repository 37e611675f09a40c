"""Services that die, hang or are slow while questions come in."""

import json
import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import openai
import pytest

from support import handbook
from support.running import QUICKSTART, Running, running, sluice, until

pytestmark = [pytest.mark.processes, pytest.mark.timeout(300)]

SERVICES = ("guardrail", "retriever", "reranker", "inference")
END_STATES = {"answered", "blocked", "degraded", "failed", "cancelled"}


def _ask(up: Running, question: handbook.Question, client: openai.OpenAI | None = None) -> tuple[str, str]:
    """How it ended, and the run's id."""
    raw = (client or up.openai(timeout=30)).chat.completions.with_raw_response
    try:
        reply = raw.create(model="default", messages=[{"role": "user", "content": question.text}])
    except openai.APIStatusError as error:
        clear = error.status_code in (429, 503, 504) and error.body["message"] and error.body["step"]
        outcome = f"error {error.status_code}" if clear else f"wrong: {error}"
        return outcome, error.response.headers["x-sluice-run-id"]
    answer = reply.parse()
    right = question.expected in answer.choices[0].message.content
    cited = [citation["document_id"] for citation in answer.model_extra["sluice"]["citations"]]
    outcome = (
        "right" if right and question.document_id in cited else f"wrong: {answer.choices[0].message.content}"
    )
    return outcome, reply.headers["x-sluice-run-id"]


def test_two_hundred_questions_while_each_process_is_killed_once(tmp_path: Path):
    questions = handbook.questions()
    with running(tmp_path / "data") as up:
        up.ingest(handbook.documents())
        asked = [questions[index % len(questions)] for index in range(200)]
        back: dict[str, float] = {}

        def killing() -> None:
            for name in (*SERVICES, "gateway"):
                time.sleep(1.0)
                before = up.kill(name)
                back[name] = until(lambda n=name, b=before: _is_back(up, n, b), 20.0, f"{name} is back")

        killer = threading.Thread(target=killing)
        killer.start()
        client = up.openai(timeout=30)
        outcomes: Counter[str] = Counter()
        runs: list[str] = []
        with ThreadPoolExecutor(4) as pool:

            def paced(numbered: tuple[int, handbook.Question]) -> tuple[str, str]:
                time.sleep(0.12)  # spread over the killing
                try:
                    return _ask(up, numbered[1], client)
                except openai.APIConnectionError:
                    return "error connection", ""

            for outcome, run_id in pool.map(paced, enumerate(asked)):
                outcomes[outcome] += 1
                runs += [run_id] if run_id else []
        killer.join()
        assert set(back) == {*SERVICES, "gateway"}
        assert not [outcome for outcome in outcomes if outcome.startswith("wrong")], outcomes
        assert outcomes["right"] >= 180, outcomes
        for run_id in runs:
            assert up.run(run_id)["state"] in END_STATES
        until(lambda: _ask(up, questions[0])[0] == "right", 20, "all is well again")
        assert _states(up) <= END_STATES
    verified = sluice("audit", "verify", "--data", tmp_path / "data", "--json")
    assert verified.returncode == 0, verified.stdout
    assert json.loads(verified.stdout)["writers"] == 2  # the gateway was killed once


def _is_back(up: Running, name: str, before: int) -> bool:
    return up.child(name)["pid"] not in (0, before) and up.serves(name)


def _states(up: Running) -> set[str]:
    with up.http() as http:
        return {run["state"] for run in http.get("/v1/runs?limit=1000").json()["runs"]}


@pytest.fixture(scope="module")
def impatient(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A second for each step and no retries; tests must leave it as it was."""
    folder = tmp_path_factory.mktemp("impatient")
    with running(folder / "data", "-f", str(_impatient(folder))) as up:
        up.ingest(handbook.documents())
        yield up


@pytest.mark.parametrize(
    ("service", "step"), [("guardrail", "guard_input"), ("retriever", "retrieve"), ("inference", "generate")]
)
def test_hanging_service_fails_its_step_in_time_and_a_retry_works(
    impatient: Running, service: str, step: str
):
    up, question = impatient, handbook.questions()[0]
    pid = up.kill(service, signal.SIGSTOP)
    try:
        started = time.monotonic()
        with pytest.raises(openai.InternalServerError) as raised:
            up.openai().chat.completions.create(
                model="default", messages=[{"role": "user", "content": question.text}]
            )
        assert time.monotonic() - started < 10
        assert raised.value.status_code == 504
        assert raised.value.body["step"] == step
        run = up.run(raised.value.response.headers["x-sluice-run-id"])
        assert run["state"] == "failed"
        assert run["reason"] == f"{step}: DEADLINE_EXCEEDED"
        failed = [each["name"] for each in run["steps"] if each["state"] == "failed"]
        assert failed == [step]
    finally:
        os.kill(pid, signal.SIGCONT)
    until(lambda: _ask(up, question)[0] == "right", 20, "a retry works")


def test_hanging_reranker_degrades(impatient: Running):
    up = impatient
    pid = up.kill("reranker", signal.SIGSTOP)
    try:
        outcome, run_id = _ask(up, handbook.questions()[0])
        assert outcome == "right"
        run = up.run(run_id)
        assert (run["state"], run["reason"]) == ("degraded", "rerank: DEADLINE_EXCEEDED")
    finally:
        os.kill(pid, signal.SIGCONT)


def _impatient(tmp_path: Path) -> Path:
    """The quickstart's objects with a second for each step and no retries."""
    objects = tmp_path / "objects"
    objects.mkdir()
    for source in QUICKSTART.glob("*.yaml"):
        text = source.read_text()
        if source.name == "pipeline.yaml":
            text = (
                text[: text.index("  steps:")]
                + """  steps:
    guardInput: { timeout: 1s, retries: 0 }
    retrieve: { topK: 50, timeout: 1s, retries: 0 }
    rerank: { topK: 5, onFail: degrade, timeout: 1s, retries: 0 }
    generate: { modelServerRef: extractive, timeout: 1s, retries: 0 }
    guardOutput: { timeout: 1s, retries: 0 }
"""
            )
        (objects / source.name).write_text(text)
    return objects
