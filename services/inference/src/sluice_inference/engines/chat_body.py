"""What is asked of an OpenAI-compatible server's chat endpoint. Pure."""

import json
from collections.abc import Sequence
from typing import Any

from sluice_inference.domain.model import PROSE, AnswerForm, AnswerFormat, Message, Sampling
from sluice_inference.domain.tools import NO_TOOLS, Tool, ToolChoice, Tools

Json = dict[str, Any]


def body(
    model: str,
    messages: Sequence[Message],
    sampling: Sampling,
    tools: Tools = NO_TOOLS,
    answer_format: AnswerFormat = PROSE,
) -> Json:
    """The body of a request that streams; what is not set is left to the server."""
    return {
        "model": model,
        "messages": messages_of(messages),
        "stream": True,
        "stream_options": {"include_usage": True},
        **{name: value for name, value in _sampling(sampling).items() if value is not None},
        **(_tools(tools) if tools.functions else {}),
        **({"response_format": _response_format(answer_format)} if answer_format.is_json else {}),
    }


def messages_of(conversation: Sequence[Message]) -> list[Json]:
    """A conversation in OpenAI's words."""
    return [_message(message) for message in conversation]


def tools_of(tools: Tools) -> list[Json]:
    """What may be called, in OpenAI's words."""
    return [_tool(tool) for tool in tools.functions]


def _message(message: Message) -> Json:
    content: Json = {"role": message.role, "content": message.content}
    if message.tool_call_id:
        content["tool_call_id"] = message.tool_call_id
    if message.tool_calls:
        content["content"] = message.content or None
        content["tool_calls"] = [
            {
                "id": call.id,
                "type": "function",
                "function": {"name": call.name, "arguments": call.arguments},
            }
            for call in message.tool_calls
        ]
    return content


def _sampling(sampling: Sampling) -> Json:
    asks = sampling.top_logprobs is not None
    return {
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "max_tokens": sampling.max_tokens,
        "stop": list(sampling.stop) or None,
        "seed": sampling.seed,
        "frequency_penalty": sampling.frequency_penalty,
        "presence_penalty": sampling.presence_penalty,
        "logit_bias": {str(token): bias for token, bias in sampling.logit_bias} or None,
        "n": sampling.n if sampling.n > 1 else None,
        "logprobs": True if asks else None,
        "top_logprobs": sampling.top_logprobs or None,
    }


def _tools(tools: Tools) -> Json:
    content: Json = {"tools": tools_of(tools)}
    if tools.choice is ToolChoice.NAMED:
        content["tool_choice"] = {"type": "function", "function": {"name": tools.name}}
    elif tools.choice is not ToolChoice.DEFAULT:
        content["tool_choice"] = str(tools.choice)
    if tools.parallel is not None:
        content["parallel_tool_calls"] = tools.parallel
    return content


def _tool(tool: Tool) -> Json:
    function: Json = {"name": tool.name}
    if tool.description:
        function["description"] = tool.description
    if tool.parameters:
        function["parameters"] = json.loads(tool.parameters)
    if tool.strict is not None:
        function["strict"] = tool.strict
    return {"type": "function", "function": function}


def _response_format(answer_format: AnswerFormat) -> Json:
    if answer_format.form is AnswerForm.JSON_OBJECT:
        return {"type": "json_object"}
    schema: Json = {"name": answer_format.name, "schema": json.loads(answer_format.schema)}
    if answer_format.strict is not None:
        schema["strict"] = answer_format.strict
    return {"type": "json_schema", "json_schema": schema}
