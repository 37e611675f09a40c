"""What OpenAI's chat request asks for, in the gateway's words."""

import json
from typing import Any

import pytest
from pydantic import ValidationError

from sluice_gateway.domain.model import Message, Principal, RunRequest
from sluice_gateway.domain.tools import AnswerForm, AnswerFormat, Tool, ToolCall, ToolChoice, Tools
from sluice_gateway.http.chat_schema import ChatRequest
from sluice_servicekit.errors import InvalidArgument

QUESTION = {"role": "user", "content": "q"}
SCHEMA = {"type": "object", "properties": {"größe": {"minimum": 1}}}
FUNCTION = {"name": "f", "description": "d", "parameters": SCHEMA, "strict": True}
TOOLS = [{"type": "function", "function": FUNCTION}, {"type": "function", "function": {"name": "g"}}]
F = Tool("f", "d", '{"type": "object", "properties": {"größe": {"minimum": 1}}}', strict=True)
G = Tool("g")


def _read(**fields: Any) -> RunRequest:
    body = json.dumps({"model": "m", "messages": [QUESTION], **fields})
    request = ChatRequest.model_validate_json(body, strict=True, by_name=True, by_alias=False)
    return request.run_request(Principal("acme"))


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        (None, Tools((F, G))),
        ("auto", Tools((F, G), ToolChoice.AUTO)),
        ("none", Tools((F, G), ToolChoice.NONE)),
        ("required", Tools((F, G), ToolChoice.REQUIRED)),
        ({"type": "function", "function": {"name": "g"}}, Tools((F, G), ToolChoice.NAMED, "g")),
        (
            {
                "type": "allowed_tools",
                "allowed_tools": {
                    "mode": "required",
                    "tools": [{"type": "function", "function": {"name": "g"}}],
                },
            },
            Tools((G,), ToolChoice.REQUIRED),
        ),
    ],
)
def test_tools_and_their_choice(choice: object, expected: Tools):
    assert _read(tools=TOOLS, tool_choice=choice).tools == expected


def test_functions_are_tools_one_call_at_a_time():
    functions = [FUNCTION, {"name": "g"}]
    assert _read(functions=functions).tools == Tools((F, G), parallel=False)
    named = _read(functions=functions, function_call={"name": "g"}).tools
    assert named == Tools((F, G), ToolChoice.NAMED, "g", parallel=False)


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"tool_choice": "auto"}, "tool_choice"),
        ({"tools": TOOLS, "tool_choice": "sometimes"}, "tool_choice"),
        (
            {"tools": TOOLS, "tool_choice": {"type": "function", "function": {"name": "h"}}},
            "tool_choice.function.name",
        ),
        ({"tools": TOOLS, "tool_choice": {"type": "function"}}, "tool_choice.function.name"),
        ({"tools": TOOLS, "tool_choice": {"type": "custom"}}, "tool_choice.type"),
        (
            {"tools": TOOLS, "tool_choice": {"type": "allowed_tools", "allowed_tools": {"mode": "auto"}}},
            "tool_choice.allowed_tools",
        ),
        ({"tools": [{"type": "custom", "custom": {"name": "sql"}}]}, "tools[0].type"),
        ({"function_call": "auto"}, "function_call"),
        ({"response_format": {"type": "grammar"}}, "response_format.type"),
        ({"response_format": {"type": "json_schema"}}, "response_format.json_schema.name"),
        (
            {"response_format": {"type": "json_schema", "json_schema": {"name": "n"}}},
            "response_format.json_schema.schema",
        ),
        (
            {
                "response_format": {
                    "type": "json_schema",
                    "json_schema": {"name": "n", "schema": {}, "strict": 1},
                }
            },
            "response_format.json_schema.strict",
        ),
        ({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}, "messages[0].content[0].type"),
    ],
)
def test_what_cannot_be_read_is_named(fields: dict[str, Any], field: str):
    with pytest.raises(InvalidArgument) as raised:
        _read(**fields)
    assert raised.value.field == field


@pytest.mark.parametrize(
    "fields",
    [
        {"n": 0},
        {"n": 17},
        {"top_logprobs": 2},
        {"logprobs": True, "top_logprobs": 21},
        {"logit_bias": {"the": 1}},
        {"logit_bias": {"5": 101}},
        {"frequency_penalty": 2.5},
        {"stream_options": {"include_usage": True}},
        {"tools": TOOLS, "functions": [FUNCTION]},
        {"tools": [{"type": "function", "function": {"name": "a b"}}]},
    ],
)
def test_what_is_out_of_range_is_refused(fields: dict[str, Any]):
    with pytest.raises(ValidationError):
        _read(**fields)


def test_how_to_sample():
    sampling = _read(
        n=2,
        logprobs=True,
        top_logprobs=3,
        frequency_penalty=1,
        presence_penalty=-1.5,
        logit_bias={"7": -100, "5": 1},
        max_tokens=5,
        max_completion_tokens=6,
    ).sampling
    assert (sampling.n, sampling.top_logprobs, sampling.max_tokens) == (2, 3, 6)
    assert (sampling.frequency_penalty, sampling.presence_penalty) == (1.0, -1.5)
    assert sampling.logit_bias == ((5, 1.0), (7, -100.0))
    assert _read(logprobs=True).sampling.top_logprobs == 0
    assert _read(logprobs=False).sampling.top_logprobs is None


def test_form_of_the_answer():
    wanted = {"type": "json_schema", "json_schema": {"name": "n", "schema": SCHEMA, "strict": True}}
    assert _read(response_format=wanted).answer_format == AnswerFormat(
        AnswerForm.JSON_SCHEMA, "n", F.parameters, strict=True
    )
    assert _read(response_format={"type": "json_object"}).answer_format.is_json
    assert not _read(response_format={"type": "text"}).answer_format.is_json


def test_conversation_of_both_forms_has_every_call_and_its_result():
    function = {"name": "f", "arguments": "{}"}
    messages = [
        {
            "role": "developer",
            "content": [{"type": "text", "text": "Be"}, {"type": "text", "text": "brief."}],
        },
        QUESTION,
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [{"id": "c1", "type": "function", "function": function}],
        },
        {"role": "tool", "tool_call_id": "c1", "content": "one"},
        {"role": "assistant", "content": None, "function_call": function},
        {"role": "function", "name": "f", "content": "two"},
        {"role": "assistant", "content": None, "refusal": "No."},
        QUESTION,
    ]
    assert _read(messages=messages).messages == (
        Message("developer", "Be\nbrief."),
        Message("user", "q"),
        Message("assistant", "", (ToolCall("f", "{}", "c1"),)),
        Message("tool", "one", tool_call_id="c1"),
        Message("assistant", "", (ToolCall("f", "{}", "call_4"),)),
        Message("tool", "two", tool_call_id="call_4"),
        Message("assistant", "No."),
        Message("user", "q"),
    )
