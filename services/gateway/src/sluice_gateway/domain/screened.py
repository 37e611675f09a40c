"""A request as the input gate lets it go on. Pure."""

from collections.abc import Sequence
from dataclasses import replace

from sluice_gateway.domain.model import Message, RunRequest, TreatedSegment
from sluice_gateway.domain.tools import ToolCall


def screened_request(request: RunRequest, treated: Sequence[TreatedSegment]) -> RunRequest:
    """The request with what the gate has put in the place of some of its texts."""
    messages = screened(request.messages, treated)
    before = len(messages) + sum(len(message.tool_calls) for message in messages)
    described = {each.segment - before: each.text for each in treated if each.segment >= before}
    return replace(request, messages=messages, tools=request.tools.treated(described))


def screened(messages: Sequence[Message], treated: Sequence[TreatedSegment]) -> tuple[Message, ...]:
    """The messages with what the gate has put in the place of some."""
    texts = {each.segment: each.text for each in treated}
    after = len(messages)
    result = []
    for index, message in enumerate(messages):
        calls = tuple(_call(call, texts.get(after + place)) for place, call in enumerate(message.tool_calls))
        after += len(calls)
        result.append(replace(message, content=texts.get(index, message.content), tool_calls=calls))
    return tuple(result)


def _call(call: ToolCall, arguments: str | None) -> ToolCall:
    return call if arguments is None else replace(call, arguments=arguments)
