"""The examples/experiment objects against a server that answers as vLLM does."""

import asyncio
import json
from collections import Counter
from pathlib import Path

import grpc
import pytest

from sluice.gateway.v1 import gateway_pb2, gateway_pb2_grpc
from support import handbook
from support.model_server import ModelServer, serving
from support.running import PROJECT, Running, running, sluice, until

pytestmark = [pytest.mark.processes, pytest.mark.timeout(300)]

BASE, ADAPTER = "Qwen/Qwen3-4B-Instruct-2507", "support-r2"
NAME = "support-r2"
USERS = [f"user-{number}" for number in range(60)]


def _objects(folder: Path, url: str) -> Path:
    folder.mkdir()
    for source in (PROJECT / "examples" / "experiment").glob("*.yaml"):
        text = source.read_text().replace("http://127.0.0.1:8000/v1", url)
        (folder / source.name).write_text(text.replace("minSamplesPerArm: 1000", "minSamplesPerArm: 20"))
    return folder


class Users:
    """Ask one after the other; remember what they got."""

    def __init__(self, up: Running, server: ModelServer) -> None:
        self._up, self._server = up, server
        self.runs: dict[str, str] = {}

    def ask(self, users: list[str]) -> dict[str, str]:
        """By user, the arm; which model wrote and what the headers say must fit it."""
        arms = {}
        question = handbook.questions()[0].text
        with self._up.http() as http:
            for user in users:
                body = {"model": "default", "messages": [{"role": "user", "content": question}], "user": user}
                reply = http.post("/v1/chat/completions", json=body).raise_for_status()
                said = reply.json()["sluice"]
                assert (said["experiment"], said["arm"]) == (NAME, reply.headers["x-sluice-arm"])
                assert self._server.requests[-1]["model"] == {"base": BASE, "r2": ADAPTER}[said["arm"]]
                arms[user] = said["arm"]
                self.runs[user] = said["run_id"]
        return arms


def _report(up: Running) -> dict[str, dict]:
    with up.http() as http:
        report = http.get(f"/v1/experiments/{NAME}").raise_for_status().json()
    return {arm["name"]: arm["outcomes"] for arm in report["arms"]} | {"report": report}


async def test_arms_stick_over_a_restart_and_their_outcomes_add_up(tmp_path: Path):
    server = ModelServer(("The Ardmore press needs it after 40 hours ", "of work [1]."))
    async with serving(server):
        objects = _objects(tmp_path / "objects", server.url)

        def work() -> None:
            with running(tmp_path / "data", "-f", str(objects)) as up:
                up.ingest(handbook.documents())
                users = Users(up, server)
                arms = users.ask(USERS)
                dealt = Counter(arms.values())
                assert min(dealt["base"], dealt["r2"]) > 15
                outcomes = _report(up)
                assert {arm: outcomes[arm]["requests"] for arm in ("base", "r2")} == dict(dealt)
                _rate(up, users, arms)

                up.kill("gateway")
                until(lambda: up.serves("gateway"), 30, "the gateway is back")
                assert users.ask(USERS[:20]) == {user: arms[user] for user in USERS[:20]}
                after = _report(up)
                dealt += Counter(arms[user] for user in USERS[:20])
                for arm, count in dealt.items():
                    found = after[arm]
                    assert (found["requests"], found["answered"], found["errors"]["total"]) == (
                        count,
                        count,
                        0,
                    )
                    assert (found["prompt_tokens"]["mean"], found["completion_tokens"]["mean"]) == (17, 2)
                    assert found["groundedness"]["count"] == found["seconds"]["count"] == count
                    assert found["groundedness"]["mean"] > 0.5
                    assert found["seconds"]["p50"] <= found["seconds"]["p99"]
                    assert found["feedback"] == outcomes_of_feedback(users, arms, arm)
                _pinned(up, users, dealt)
                _refused(up)
                _over_grpc(up, users, dealt)
                _on_the_command_line(up, users)

        await asyncio.to_thread(work)


def outcomes_of_feedback(users: Users, arms: dict[str, str], arm: str) -> dict[str, object]:
    """Everyone of an arm has said up of the adapter, and down of the base model."""
    count = sum(arms[user] == arm for user in USERS[:10])
    rating = 1.0 if arm == "r2" else 0.0
    return {
        "count": count,
        "mean": rating if count else None,
        "variance": 0.0 if count > 1 else None,
        "up": count if arm == "r2" else 0,
        "down": 0 if arm == "r2" else count,
    }


def _rate(up: Running, users: Users, arms: dict[str, str]) -> None:
    with up.http() as http:
        for user in USERS[:10]:
            for rating in (0.5, {"r2": "up", "base": "down"}[arms[user]]):  # the last one counts
                body = {
                    "run_id": users.runs[user],
                    "rating": rating,
                    "labels": ["tone"],
                    "comment": "So it is.",
                }
                said = http.post("/v1/feedback", json=body).raise_for_status().json()
                assert (said["experiment"], said["arm"], said["comment_kept"]) == (NAME, arms[user], True)


def _pinned(up: Running, users: Users, dealt: Counter[str]) -> None:
    body = {"model": "default", "messages": [{"role": "user", "content": handbook.questions()[0].text}]}
    with up.http() as http:
        for arm in ("base", "r2"):
            reply = http.post("/v1/chat/completions", json=body, headers={"x-sluice-arm": arm})
            assert reply.json()["sluice"]["arm"] == arm
            users.runs[f"pinned-{arm}"] = reply.json()["sluice"]["run_id"]
        wrong = http.post("/v1/chat/completions", json=body, headers={"x-sluice-arm": "r3"})
        assert (wrong.status_code, wrong.json()["error"]["param"]) == (400, "arm")
    outcomes = _report(up)
    assert {arm: outcomes[arm]["requests"] for arm in dealt} == dict(dealt)


def _refused(up: Running) -> None:
    run_id = up.runs()[0]["run_id"]
    with up.http() as http, up.http(tenant="globex") as other:
        for client, body, status, param in (
            (other, {"run_id": run_id, "rating": "up"}, 404, None),
            (http, {"run_id": "nonsense", "rating": "up"}, 404, None),
            (http, {"run_id": run_id, "rating": 1.5}, 400, "rating"),
            (http, {"run_id": run_id, "rating": "great"}, 400, "rating"),
            (http, {"run_id": run_id}, 400, "rating"),
            (http, {"run_id": run_id, "rating": 1, "labels": ["Free text"]}, 400, "labels[0]"),
        ):
            reply = client.post("/v1/feedback", json=body)
            assert reply.status_code == status
            assert reply.json()["error"]["param"] == param
        listed = http.get("/v1/experiments").json()["experiments"]
        assert [each["name"] for each in listed] == [NAME]
        assert http.get("/v1/experiments/nope").json()["error"]["code"] == "experiment_not_found"
        assert http.get(f"/v1/experiments/{NAME}?since=yesterday").json()["error"]["param"] == "since"
        assert http.get(f"/v1/experiments/{NAME}?since=1h").json()["since"].endswith("Z")


def _over_grpc(up: Running, users: Users, dealt: Counter[str]) -> None:
    with grpc.insecure_channel(up.child("gateway")["address"]) as channel:
        stub = gateway_pb2_grpc.GatewayServiceStub(channel)
        experiment = stub.GetExperiment(gateway_pb2.GetExperimentRequest(name=NAME))
        assert [(arm.name, arm.weight, arm.model_name) for arm in experiment.arms] == [
            ("base", 50, ""),
            ("r2", 50, ADAPTER),
        ]
        outcomes = stub.GetOutcomes(gateway_pb2.GetOutcomesRequest(name=NAME))
        assert {arm.arm: arm.requests for arm in outcomes.arms} == dict(dealt)
        assert outcomes.suggestion == gateway_pb2.EXPERIMENT_SUGGESTION_CONTINUE
        assert {check.standing for check in outcomes.guard_metrics} <= {"open", "met", "too_few"}
        taken = stub.SubmitFeedback(
            gateway_pb2.SubmitFeedbackRequest(run_id=users.runs["pinned-r2"], rating=1)
        )
        assert (taken.experiment, taken.arm, taken.comment_kept) == (NAME, "r2", False)  # without a comment
        with pytest.raises(grpc.RpcError) as wrong:
            stub.SubmitFeedback(gateway_pb2.SubmitFeedbackRequest(run_id=users.runs["pinned-r2"], rating=2))
        assert wrong.value.code() is grpc.StatusCode.INVALID_ARGUMENT


def _on_the_command_line(up: Running, users: Users) -> None:
    run_id = users.runs[USERS[30]]
    rated = sluice("feedback", run_id, "up", "--comment", "Well done.", "--url", up.url)
    assert "rated 1 for the arm" in rated.stdout
    assert "not kept" not in rated.stdout
    shown = sluice("experiments", "show", NAME, "--url", up.url)
    assert (shown.returncode, shown.stderr) == (0, "")
    for part in ("r2 − base", "errorRate", "├", "guard metric", "suggestion: continue"):
        assert part in shown.stdout
    with up.http() as http:
        run = http.get(f"/v1/runs/{run_id}").raise_for_status().json()
    assert run["experiment"] == NAME
    assert f"arm {run['arm']} of {NAME}" in sluice("runs", "show", run_id, "--url", up.url).stdout
    events = [line for line in _events(up, run_id) if line.get("kind") == "feedback"]
    assert events[-1]["detail"]["rating"] == 1.0


def _events(up: Running, run_id: str) -> list[dict]:
    with up.http() as http:
        text = http.get(f"/v1/runs/{run_id}/events").raise_for_status().text
    return [json.loads(line.removeprefix("data:")) for line in text.splitlines() if line.startswith("data:")]
