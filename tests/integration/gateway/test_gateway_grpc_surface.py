"""What `docs/api.md` says of the gRPC API: health by name, reflection, and errors with their details."""

from collections.abc import Iterator
from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from grpc_status import rpc_status

from sluice.common.v1 import common_pb2  # noqa: F401 - registers what gateway_pb2 refers to
from sluice.gateway.v1 import gateway_pb2, gateway_pb2_grpc
from sluice.inference.v1 import inference_pb2
from support.light_gateway import LightGateway, light_gateway
from support.light_services import ATTACK, FAILS, STOPS

SERVICE = "sluice.gateway.v1.GatewayService"


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LightGateway]:
    with light_gateway(tmp_path_factory.mktemp("light"), max_in_flight=1) as gateway:
        yield gateway


@pytest.fixture
def channel(gateway: LightGateway) -> Iterator[grpc.Channel]:
    with grpc.insecure_channel(gateway.grpc_address) as channel:
        yield channel


def _asked(question: str, **more: Any) -> gateway_pb2.AnswerRequest:
    message = inference_pb2.Message(role="user", content=question)
    return gateway_pb2.AnswerRequest(model="default", messages=[message], **more)


def _detail(error: Any, message: Any) -> Any:
    found = [detail for detail in rpc_status.from_call(error).details if detail.Is(message.DESCRIPTOR)]
    assert len(found) == 1, f"{message.DESCRIPTOR.name} once"
    found[0].Unpack(message)
    return message


def test_health_is_told_for_the_process_and_the_service(channel: grpc.Channel):
    stub = health_pb2_grpc.HealthStub(channel)
    for service in ("", SERVICE):
        reply = stub.Check(health_pb2.HealthCheckRequest(service=service), timeout=5)
        assert reply.status == health_pb2.HealthCheckResponse.SERVING
    with pytest.raises(grpc.RpcError) as raised:
        stub.Check(health_pb2.HealthCheckRequest(service="nope"), timeout=5)
    assert raised.value.code() is grpc.StatusCode.NOT_FOUND


def test_reflection_gives_every_method(channel: grpc.Channel):
    stub = reflection_pb2_grpc.ServerReflectionStub(channel)
    asked = reflection_pb2.ServerReflectionRequest(file_containing_symbol=SERVICE)
    (reply,) = stub.ServerReflectionInfo(iter([asked]), timeout=5)
    assert reply.file_descriptor_response.file_descriptor_proto
    described = b"".join(reply.file_descriptor_response.file_descriptor_proto)
    assert all(
        method.name.encode() in described
        for method in gateway_pb2.DESCRIPTOR.services_by_name["GatewayService"].methods
    )


def test_a_block_is_an_answer(channel: grpc.Channel):
    answer = gateway_pb2_grpc.GatewayServiceStub(channel).Answer(_asked(ATTACK), timeout=10)
    assert answer.state == gateway_pb2.RUN_STATE_BLOCKED
    assert answer.verdict.reason == "PROMPT_INJECTION"


def test_a_failed_step_is_named(channel: grpc.Channel):
    with pytest.raises(grpc.RpcError) as raised:
        gateway_pb2_grpc.GatewayServiceStub(channel).Answer(_asked(FAILS), timeout=10)
    assert raised.value.code() is grpc.StatusCode.FAILED_PRECONDITION
    info = _detail(raised.value, error_details_pb2.ErrorInfo())
    assert (info.reason, info.domain, info.metadata["step"]) == ("MODEL_BROKEN", "sluice.dev", "generate")
    assert info.metadata["run_id"]


def test_what_is_wrong_is_named_by_its_field(channel: grpc.Channel):
    asked = _asked("How long?")
    asked.messages[0].role = "boss"
    with pytest.raises(grpc.RpcError) as raised:
        gateway_pb2_grpc.GatewayServiceStub(channel).Answer(asked, timeout=10)
    assert raised.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    (violation,) = _detail(raised.value, error_details_pb2.BadRequest()).field_violations
    assert violation.field == "messages[0].role"


def test_too_much_says_when_to_come_again(channel: grpc.Channel, gateway: LightGateway):
    stub = gateway_pb2_grpc.GatewayServiceStub(channel)
    running = stub.AnswerStream(gateway_pb2.AnswerStreamRequest(request=_asked(STOPS)))
    next(running)  # it has begun, and one is all that may
    with pytest.raises(grpc.RpcError) as raised:
        stub.Answer(_asked("How long?"), timeout=10)
    assert raised.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert _detail(raised.value, error_details_pb2.ErrorInfo()).reason == "TOO_MANY_RUNS"
    assert _detail(raised.value, error_details_pb2.RetryInfo()).retry_delay.ToMilliseconds() > 0
    body = {"model": "default", "messages": [{"role": "user", "content": "How long?"}]}
    with gateway.http() as http:
        refused = http.post("/v1/chat/completions", json=body)
    assert (refused.status_code, refused.json()["error"]["type"]) == (429, "rate_limit_error")
    assert int(refused.headers["retry-after"]) > 0
    running.cancel()
