"""LangChain's chat model for OpenAI-compatible servers."""

import pytest
from langchain_core.messages import AIMessageChunk, HumanMessage, ToolMessage
from langchain_openai import ChatOpenAI
from pydantic import BaseModel

from support.serving import ARGUMENTS, CALL, KEY, QUESTION, TOOLS, Serving


class Service(BaseModel):
    """What a machine needs, and when."""

    machine: str
    hours: int


@pytest.fixture
def model(gateway: Serving) -> ChatOpenAI:
    # Models of one address share their connections, so that none may close them.
    return ChatOpenAI(model="default", base_url=gateway.base_url, api_key=KEY, max_retries=0)


def test_invoke(model: ChatOpenAI):
    answer = model.invoke(QUESTION)
    assert answer.text.startswith("It is 40 hours [1].")
    assert answer.usage_metadata is not None
    assert answer.usage_metadata["output_tokens"] == 2


def test_stream(model: ChatOpenAI):
    chunks = list(model.stream(QUESTION, stream_usage=True))
    whole = chunks[0]
    for chunk in chunks[1:]:
        whole += chunk
    assert isinstance(whole, AIMessageChunk)
    assert whole.text.startswith("It is 40 hours [1].")
    assert whole.response_metadata["finish_reason"] == "stop"
    assert whole.usage_metadata is not None
    assert whole.usage_metadata["output_tokens"] == 2


def test_tools(gateway: Serving, model: ChatOpenAI):
    gateway.model_server.calls = (CALL,)
    calling = model.bind_tools(TOOLS, tool_choice="any")
    question = HumanMessage(QUESTION)
    asked = calling.invoke([question])
    [call] = asked.tool_calls
    assert (call["name"], call["args"], call["id"]) == (CALL.name, ARGUMENTS, CALL.id)
    assert gateway.asked[-1]["tool_choice"] == "required"
    answer = calling.invoke([question, asked, ToolMessage("Sunny.", tool_call_id=call["id"])])
    assert answer.text.startswith("It is 40 hours [1].")
    streamed = [chunk for chunk in calling.stream([question]) if chunk.tool_call_chunks]
    whole = streamed[0]
    for chunk in streamed[1:]:
        whole += chunk
    assert [call["args"] for call in whole.tool_calls] == [ARGUMENTS]


@pytest.mark.parametrize("method", ["json_schema", "function_calling"])
def test_structured_output(gateway: Serving, model: ChatOpenAI, method: str):
    arguments = ('{"machine": "Ardmore press", ', '"hours": 40}')
    gateway.model_server.json = arguments
    gateway.model_server.calls = (CALL.__class__("Service", arguments),)
    found = model.with_structured_output(Service, method=method).invoke(QUESTION)
    assert found == Service(machine="Ardmore press", hours=40)
