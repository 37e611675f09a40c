"""The examples/policies objects: one knowledge base, two pipelines, and what each makes of personal data."""

import json
from collections.abc import Iterator

import grpc
import pytest

from sluice.gateway.v1 import gateway_pb2, gateway_pb2_grpc
from sluice.inference.v1 import inference_pb2
from support.running import PROJECT, Running, running, sluice

pytestmark = pytest.mark.processes

STAFF, CALLER = "nora.quill@example.com", "tom@hale.example"
#: The question holds no address, the answer does; and the other way round.
ASKS_FOR_IT = "Who looks after the Ardmore press?"
HOLDS_IT = f"I am {CALLER}. In which city is the Belvoir kiln made?"
DOCUMENTS = [
    {"id": "press.txt", "text": f"Nora Quill, {STAFF}, looks after the Ardmore press."},
    {"id": "kiln.txt", "text": "The Belvoir kiln is made in the city of Porto."},
]


@pytest.fixture(scope="module")
def policies(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """The example, with two documents."""
    folder = PROJECT / "examples" / "policies"
    with running(tmp_path_factory.mktemp("policies") / "data", "-f", str(folder)) as up:
        up.ingest(DOCUMENTS)
        yield up


def _ask(up: Running, model: str, text: str):
    messages = [{"role": "user", "content": text}]
    return up.openai().chat.completions.create(model=model, messages=messages)


@pytest.mark.parametrize(
    ("text", "step", "says"),
    [
        (HOLDS_IT, "guard_input", "The request was not processed because it contains personal data"),
        (ASKS_FOR_IT, "guard_output", "The answer was withheld because it contains personal data"),
    ],
)
def test_public_pipeline_blocks_personal_data_in_question_and_answer(
    policies: Running, text: str, step: str, says: str
):
    answer = _ask(policies, "public", text)
    assert answer.choices[0].finish_reason == "content_filter"
    assert answer.choices[0].message.content.startswith(says)
    verdict = answer.model_extra["sluice"]["verdict"]
    assert (verdict["reason"], verdict["policy"]) == ("PII", "public")
    assert "@" not in answer.model_dump_json()
    run = policies.run(answer.model_extra["sluice"]["run_id"])
    assert run["state"] == "blocked"
    assert {each["name"]: each["decision"] for each in run["steps"]}[step] == "block"


@pytest.mark.parametrize(
    ("text", "step", "expected", "address"),
    [(HOLDS_IT, "guard_input", "Porto", CALLER), (ASKS_FOR_IT, "guard_output", STAFF, STAFF)],
)
def test_internal_pipeline_answers_and_flags_it(
    policies: Running, text: str, step: str, expected: str, address: str
):
    answer = _ask(policies, "internal", text)
    content = answer.choices[0].message.content
    assert answer.choices[0].finish_reason == "stop"
    assert expected in content
    (flag,) = answer.model_extra["sluice"]["flags"]
    assert (flag["step"], flag["detector"], flag["category"]) == (step, "pii", "email")
    assert flag["score"] >= flag["threshold"]
    start, end = flag["span"]
    assert (text if step == "guard_input" else content)[start:end] == address
    run = policies.run(answer.model_extra["sluice"]["run_id"])
    gate = next(each for each in run["steps"] if each["name"] == step)
    assert gate["decision"] == "flag"
    assert [finding["category"] for finding in gate["detail"]["findings"]] == ["email"]
    assert "@" not in json.dumps(run)


def test_flags_are_in_the_grpc_answer_too(policies: Running):
    message = inference_pb2.Message(role="user", content=HOLDS_IT)
    request = gateway_pb2.AnswerRequest(model="internal", messages=[message])
    with grpc.insecure_channel(policies.record["grpc_address"]) as channel:
        answer = gateway_pb2_grpc.GatewayServiceStub(channel).Answer(request)
    (flag,) = answer.flags
    assert (flag.step, flag.category) == ("guard_input", "email")
    assert HOLDS_IT[flag.span.start : flag.span.end] == CALLER


def test_commands_show_what_was_flagged(policies: Running):
    asked = sluice("ask", HOLDS_IT, "--model", "internal", "--url", policies.url)
    assert asked.returncode == 0, asked.stderr
    assert "guard_input  flag: pii · email" in asked.stderr
    run_id = policies.runs()[0]["run_id"]
    shown = sluice("runs", "show", run_id, "--url", policies.url)
    assert "guard_input  flag: pii · email" in shown.stdout
    assert sluice("ask", HOLDS_IT, "--model", "public", "--url", policies.url).returncode == 3


def test_neither_metrics_nor_logs_nor_the_journal_hold_the_value(policies: Running):
    _ask(policies, "public", HOLDS_IT)
    with policies.http() as http:
        assert CALLER not in http.get("/metrics").text
    files = [file for file in policies.data.rglob("*") if file.is_file()]
    assert any("journal" in file.name for file in files)
    assert [file for file in files if CALLER.encode() in file.read_bytes()] == []
