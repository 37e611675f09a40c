"""`/v1/embeddings` and `/v1/completions` over light services, by OpenAI's own client where it can ask."""

import base64
import struct
from collections.abc import Iterator

import httpx
import openai
import pytest

from support.light_gateway import LightGateway, light_gateway
from support.light_services import BREAKS, DIMENSION, FAILS


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LightGateway]:
    with light_gateway(tmp_path_factory.mktemp("light")) as gateway:
        yield gateway


@pytest.fixture
def http(gateway: LightGateway) -> Iterator[httpx.Client]:
    with gateway.http() as client:
        yield client


@pytest.fixture
def client(gateway: LightGateway) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{gateway.url}/v1", api_key="unused", max_retries=0) as client:
        yield client


@pytest.mark.parametrize("model", ["default", "all-MiniLM-L6-v2"])
def test_texts_become_vectors(client: openai.OpenAI, model: str):
    texts = ["one", "two words", "one"]
    packed = client.embeddings.create(model=model, input=texts)  # the client asks for base64 by itself
    plain = client.embeddings.create(model=model, input=texts, encoding_format="float")
    assert [each.embedding for each in packed.data] == [each.embedding for each in plain.data]
    assert [each.index for each in plain.data] == [0, 1, 2]
    first, second, third = (each.embedding for each in plain.data)
    assert (len(first), first == third, first == second) == (DIMENSION, True, False)
    assert plain.usage.prompt_tokens == plain.usage.total_tokens == 4
    assert plain.model == model


def test_base64_is_the_bytes_of_the_numbers(http: httpx.Client):
    asked = {"model": "default", "input": "one"}
    [plain] = http.post("/v1/embeddings", json=asked).json()["data"]
    [packed] = http.post("/v1/embeddings", json={**asked, "encoding_format": "base64"}).json()["data"]
    assert list(struct.unpack(f"<{DIMENSION}f", base64.b64decode(packed["embedding"]))) == plain["embedding"]


def test_dimensions_may_be_those_of_the_model(client: openai.OpenAI):
    client.embeddings.create(model="default", input="one", dimensions=DIMENSION)
    with pytest.raises(
        openai.BadRequestError, match=f"{DIMENSION} dimensions, and are not shortened"
    ) as raised:
        client.embeddings.create(model="default", input="one", dimensions=256)
    assert (raised.value.code, raised.value.param) == ("unsupported_value", "dimensions")


@pytest.mark.parametrize(
    ("given", "code", "param"),
    [
        ([1, 2, 3], "unsupported_value", "input[0]"),
        ([[1, 2], [3]], "unsupported_value", "input[0]"),
        (["one", 2], "unsupported_value", "input[1]"),
        ("", "invalid_argument", "input"),
        (["one", "  "], "invalid_argument", "input[1]"),
        (["one", None], "invalid_argument", "input[1]"),
        ([], "invalid_argument", "input"),
        (["one"] * 2049, "invalid_argument", "input"),
        (None, "invalid_argument", "input"),
    ],
)
def test_what_is_no_text_is_refused_by_name(http: httpx.Client, given: object, code: str, param: str):
    reply = http.post("/v1/embeddings", json={"model": "default", "input": given})
    error = reply.json()["error"]
    assert (reply.status_code, error["code"]) == (400, code)
    assert error["param"].startswith(param)


def test_prompts_are_answered_each_by_a_run(client: openai.OpenAI, http: httpx.Client):
    answer = client.completions.create(model="default", prompt=["How long?", "How hot?"])
    assert [choice.index for choice in answer.choices] == [0, 1]
    assert all(choice.text.startswith("It is forty hours [1].") for choice in answer.choices)
    assert {choice.finish_reason for choice in answer.choices} == {"stop"}
    assert (answer.object, answer.usage.total_tokens) == ("text_completion", 42)
    runs = [choice.model_extra["sluice"]["run_id"] for choice in answer.choices]
    assert answer.id == f"cmpl-{runs[0]}"
    assert {http.get(f"/v1/runs/{run_id}").json()["state"] for run_id in runs} == {"answered"}


def test_a_stream_of_prompts_tells_them_apart(client: openai.OpenAI):
    stream = client.completions.create(model="default", prompt=["How long?", "How hot?"], stream=True)
    texts = ["", ""]
    for chunk in stream:
        for choice in chunk.choices:
            texts[choice.index] += choice.text
    assert texts[0] == texts[1] != ""


@pytest.mark.parametrize(
    ("more", "param"),
    [
        ({"n": 2}, "n"),
        ({"best_of": 2}, "best_of"),
        ({"echo": True}, "echo"),
        ({"suffix": "end"}, "suffix"),
        ({"logprobs": 0}, "logprobs"),
        ({"prompt": [1, 2]}, "prompt[0]"),
        ({"prompt": [[1, 2]]}, "prompt[0]"),
    ],
)
def test_what_completions_do_not_do_is_refused_by_name(
    http: httpx.Client, more: dict[str, object], param: str
):
    reply = http.post("/v1/completions", json={"model": "default", "prompt": "How long?", **more})
    error = reply.json()["error"]
    assert (reply.status_code, error["code"], error["param"]) == (400, "unsupported_value", param)
    run = http.get(f"/v1/runs/{reply.headers['x-sluice-run-id']}").json()
    assert (run["state"], run["reason"]) == ("failed", "admit: UNSUPPORTED_VALUE")


@pytest.mark.parametrize(
    "prompt",
    ["", ["one", " "], [], ["one"] * 17, [{"a": 1}]],
    ids=["empty", "blank", "none", "many", "object"],
)
def test_what_is_no_prompt_is_refused(http: httpx.Client, prompt: object):
    reply = http.post("/v1/completions", json={"model": "default", "prompt": prompt})
    assert (reply.status_code, reply.json()["error"]["code"]) == (400, "invalid_argument")
    assert reply.json()["error"]["param"].startswith("prompt")


def test_what_completions_say_no_to_by_default_may_be_named(client: openai.OpenAI):
    client.completions.create(model="default", prompt="How long?", n=1, best_of=1, echo=False, user="u")


def test_one_prompt_that_fails_fails_all_and_leaves_none_running(http: httpx.Client):
    reply = http.post("/v1/completions", json={"model": "default", "prompt": ["How long?", FAILS, BREAKS]})
    assert (reply.status_code, reply.json()["error"]["code"]) == (409, "model_broken")
    assert "running" not in {run["state"] for run in http.get("/v1/runs").json()["runs"]}
