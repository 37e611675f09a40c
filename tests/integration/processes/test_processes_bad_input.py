"""What callers get wrong: an error in the interface's own form, a run that failed at `admit`, nothing harmed."""

import grpc
import openai
import pytest
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from sluice.common.v1 import common_pb2  # noqa: F401 - registers what gateway_pb2 refers to
from sluice.gateway.v1 import gateway_pb2, gateway_pb2_grpc
from sluice.inference.v1 import inference_pb2
from support.running import Running

pytestmark = pytest.mark.processes

CHAT = "/v1/chat/completions"


def _chat(content: str = "Who?", **more: object) -> dict[str, object]:
    return {"model": "default", "messages": [{"role": "user", "content": content}], **more}


BODIES = {
    "not JSON": (b"{bad", 400, "invalid_argument", None),
    "not UTF-8": (b'{"model": "\xff"}', 400, "invalid_argument", None),
    "empty": (b"", 400, "invalid_argument", None),
    "an array": (b"[]", 400, "invalid_argument", None),
    "2 MB": (b'{"model": "' + b"x" * 2_000_000 + b'"}', 413, "body_too_large", None),
}
FIELDS = {
    "model of a wrong type": (_chat(model=1), 400, "invalid_argument", "model"),
    "no model": ({"messages": [{"role": "user", "content": "Who?"}]}, 400, "invalid_argument", "model"),
    "unknown model": (_chat(model="nope"), 404, "model_not_found", None),
    "no message": (_chat(messages=[]), 400, "invalid_argument", "messages"),
    "blank question": (_chat("  \n "), 400, "invalid_argument", "messages"),
    "no question": (
        _chat(messages=[{"role": "system", "content": "Hi"}]),
        400,
        "invalid_argument",
        "messages",
    ),
    "unknown role": (
        _chat(messages=[{"role": "boss", "content": "Hi"}]),
        400,
        "invalid_argument",
        "messages[0].role",
    ),
    "temperature": (_chat(temperature=9), 400, "invalid_argument", "temperature"),
    "no tokens": (_chat(max_tokens=0), 400, "invalid_argument", "max_tokens"),
    "tokens beyond 32 bits": (_chat(max_tokens=2**31), 400, "invalid_argument", "max_tokens"),
    "completion tokens beyond 32 bits": (
        _chat(max_completion_tokens=2**40),
        400,
        "invalid_argument",
        "max_completion_tokens",
    ),
    "seed beyond 64 bits": (_chat(seed=2**63), 400, "invalid_argument", "seed"),
    "two answers": (_chat(n=2), 400, "unsupported_value", "n"),
    "tools": (
        _chat(tools=[{"type": "function", "function": {"name": "f"}}]),
        400,
        "unsupported_value",
        "tools",
    ),
    "tool without a function": (
        _chat(tools=[{"type": "function"}]),
        400,
        "invalid_argument",
        "tools[0].function",
    ),
    "filter": (_chat(filter={"must": 3}), 400, "invalid_argument", None),
}


@pytest.mark.parametrize("name", BODIES)
def test_body_that_cannot_be_read(up: Running, name: str):
    content, status, code, _ = BODIES[name]
    with up.http() as http:
        reply = http.post(CHAT, content=content, headers={"content-type": "application/json"})
    _assert_refused(up, reply, status, code)


@pytest.mark.parametrize("name", FIELDS)
def test_wrong_field_is_named(up: Running, name: str):
    body, status, code, param = FIELDS[name]
    with up.http() as http:
        reply = http.post(CHAT, json=body)
    _assert_refused(up, reply, status, code)
    if param is not None:
        assert reply.json()["error"]["param"] == param


def _assert_refused(up: Running, reply, status: int, code: str):
    error = reply.json()["error"]
    assert (reply.status_code, error["code"]) == (status, code), error
    assert error["message"]
    assert error["type"]
    assert "Traceback" not in reply.text
    run = up.run(reply.headers["x-sluice-run-id"])
    assert run["state"] == "failed"
    assert run["reason"] == f"admit: {code.upper()}"
    assert [(step["name"], step["state"]) for step in run["steps"]] == [("admit", "failed")]


def test_openai_client_raises_its_own_errors(up: Running):
    client = up.openai()
    messages = [{"role": "user", "content": "Who?"}]
    with pytest.raises(openai.NotFoundError, match="there is no model 'nope'; there is: default"):
        client.chat.completions.create(model="nope", messages=messages)
    with pytest.raises(openai.BadRequestError) as raised:
        client.chat.completions.create(model="default", messages=[{"role": "user", "content": ""}])
    assert raised.value.param == "messages"


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "code"),
    [
        ("POST", "/v1/search", {"knowledge_base": "nope", "query": "x"}, 404, "knowledge_base_not_found"),
        ("POST", "/v1/search", {"query": "x", "top_k": "5"}, 400, "invalid_argument"),
        ("POST", "/v1/search", {"query": "", "top_k": 5}, 400, "invalid_argument"),
        ("POST", "/v1/search", {"query": "x", "top_k": 10**9}, 400, "invalid_argument"),
        ("POST", "/v1/search", {"query": "x", "filter": {"must": 3}}, 400, "invalid_argument"),
        ("POST", "/v1/search", {"knowledge_bases": ["default", "nope"], "query": "x"}, 404, "knowledge_base_not_found"),
        ("POST", "/v1/search", {"knowledge_bases": [""], "query": "x"}, 400, "invalid_argument"),
        ("POST", "/v1/knowledge/nope/documents", {"documents": [{"id": "a"}]}, 404, "knowledge_base_not_found"),
        ("POST", "/v1/knowledge/default/documents", {"documents": []}, 400, "invalid_argument"),
        ("POST", "/v1/knowledge/default/documents", {"documents": "x"}, 400, "invalid_argument"),
        ("DELETE", "/v1/knowledge/default/documents/nope", None, 404, "document_not_found"),
        ("POST", "/v1/guard", {"text": "x", "channel": "moon"}, 400, "invalid_argument"),
        ("GET", "/v1/runs/nope", None, 404, "run_not_found"),
        ("GET", "/v1/runs/01a20f27-7c84-738f-9ba3-303d71df1880", None, 404, "run_not_found"),
        ("GET", "/v1/runs?limit=x", None, 400, "invalid_argument"),
        ("GET", "/v1/runs?limit=%C2%B2", None, 400, "invalid_argument"),
        ("GET", "/v1/knowledge/default/documents?limit=%C2%B2", None, 400, "invalid_argument"),
        ("GET", "/v1/nope", None, 404, "unknown_url"),
        ("PUT", "/v1/runs", None, 405, "method_not_allowed"),
    ],
)  # fmt: skip
def test_other_resources(up: Running, method: str, path: str, body: object, status: int, code: str):
    with up.http() as http:
        reply = http.request(method, path, json=body) if body is not None else http.request(method, path)
    assert (reply.status_code, reply.json()["error"]["code"]) == (status, code), reply.text
    assert reply.headers["x-request-id"]


def test_half_of_a_character_in_a_text_to_guard_is_no_json(up: Running):
    with up.http() as http:
        reply = http.post(
            "/v1/guard", content=b'{"text": "\\ud800"}', headers={"content-type": "application/json"}
        )
    assert (reply.status_code, reply.json()["error"]["code"]) == (400, "invalid_argument")


def test_health_is_for_load_balancers_too(up: Running):
    with up.http() as http:
        for path in ("/healthz", "/readyz"):
            assert http.get(path).status_code == http.head(path).status_code == 200


def test_bad_documents_are_named_and_the_good_one_is_stored(up: Running):
    documents = [
        {"id": "bad-type", "text": 5},
        {"text": "no id"},
        7,
        {"id": "", "text": "empty id"},
        {"id": "empty", "text": ""},
        {"id": "good", "text": "The Farran anvil weighs 88 kilograms."},
        {"id": "bad-metadata", "text": "x", "metadata": {"n": 2**70}},
    ]
    with up.http("bad-documents") as http:
        reply = http.post("/v1/knowledge/default/documents", json={"documents": documents}).json()
        assert reply["accepted"] == 1
        assert {failure["id"] for failure in reply["failed"]} == {"bad-type", "", "empty", "bad-metadata"}
        assert len(reply["failed"]) == 6
        assert all(failure["reason"] for failure in reply["failed"])
        hits = http.post("/v1/search", json={"query": "How heavy is the Farran anvil?"}).json()["hits"]
        assert [hit["document_id"] for hit in hits] == ["good"]


def test_grpc_errors_carry_the_reason_the_run_and_the_field(up: Running):
    request = gateway_pb2.AnswerRequest(
        model="nope", messages=[inference_pb2.Message(role="user", content="Who?")]
    )
    with grpc.insecure_channel(up.record["grpc_address"]) as channel:
        stub = gateway_pb2_grpc.GatewayServiceStub(channel)
        with pytest.raises(grpc.RpcError) as raised:
            stub.Answer(request)
        info = _details(raised.value, error_details_pb2.ErrorInfo())
        assert raised.value.code() is grpc.StatusCode.NOT_FOUND
        assert (info.reason, info.domain) == ("MODEL_NOT_FOUND", "sluice.dev")
        assert up.run(info.metadata["run_id"])["reason"] == "admit: MODEL_NOT_FOUND"

        request.model = "default"
        request.messages[0].role = "boss"
        with pytest.raises(grpc.RpcError) as raised:
            list(stub.AnswerStream(gateway_pb2.AnswerStreamRequest(request=request)))
        assert raised.value.code() is grpc.StatusCode.INVALID_ARGUMENT
        violation = _details(raised.value, error_details_pb2.BadRequest()).field_violations[0]
        assert violation.field == "messages[0].role"


def _details(error, message):
    for detail in rpc_status.from_call(error).details:
        if detail.Unpack(message):
            return message
    raise AssertionError(f"no {message.DESCRIPTOR.name} in {error}")
