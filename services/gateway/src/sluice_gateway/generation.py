"""Generation between protos and the gateway's domain. Converts only."""

from collections.abc import Sequence
from typing import cast

from sluice.common.v1 import common_pb2
from sluice.inference.v1 import inference_pb2
from sluice_api.objects import prompt as prompts
from sluice_api.objects.prompt import PassageOrder
from sluice_gateway import conversion
from sluice_gateway.domain.admission.priority import Priority
from sluice_gateway.domain.model import Finish, Message, Prepared, Sampling, Usage
from sluice_gateway.domain.pieces import Delta, Logprob
from sluice_gateway.domain.ports import Prompt
from sluice_gateway.domain.tools import AnswerForm, AnswerFormat, ToolCall, ToolCallDelta, ToolChoice, Tools
from sluice_servicekit.errors import InvalidArgument

_REASONS = {
    inference_pb2.FINISH_REASON_UNSPECIFIED: "",
    inference_pb2.FINISH_REASON_STOP: "stop",
    inference_pb2.FINISH_REASON_LENGTH: "length",
    inference_pb2.FINISH_REASON_CONTENT_FILTER: "content_filter",
    inference_pb2.FINISH_REASON_TOOL_CALLS: "tool_calls",
}
_CHOICES = {
    ToolChoice.DEFAULT: inference_pb2.TOOL_CHOICE_UNSPECIFIED,
    ToolChoice.AUTO: inference_pb2.TOOL_CHOICE_AUTO,
    ToolChoice.NONE: inference_pb2.TOOL_CHOICE_NONE,
    ToolChoice.REQUIRED: inference_pb2.TOOL_CHOICE_REQUIRED,
    ToolChoice.NAMED: inference_pb2.TOOL_CHOICE_NAMED,
}
#: By what domain code calls them.
PRIORITIES = {
    Priority.INTERACTIVE: inference_pb2.PRIORITY_INTERACTIVE,
    Priority.BATCH: inference_pb2.PRIORITY_BATCH,
    Priority.BACKGROUND: inference_pb2.PRIORITY_BACKGROUND,
}
_FORMS = {
    AnswerForm.PROSE: inference_pb2.ANSWER_FORM_PROSE,
    AnswerForm.JSON_OBJECT: inference_pb2.ANSWER_FORM_JSON_OBJECT,
    AnswerForm.JSON_SCHEMA: inference_pb2.ANSWER_FORM_JSON_SCHEMA,
}
_ORDERS = {
    PassageOrder.RANK: inference_pb2.PASSAGE_ORDER_RANK,
    PassageOrder.REVERSED: inference_pb2.PASSAGE_ORDER_REVERSED,
    PassageOrder.EDGES: inference_pb2.PASSAGE_ORDER_EDGES,
}


def request(prompt: Prompt) -> inference_pb2.GenerateRequest:
    """What an answer is made from, as a message."""
    return inference_pb2.GenerateRequest(
        principal=conversion.principal(prompt.principal),
        model_server=prompt.step.model_server_ref,
        model_name=prompt.step.model_name,
        messages=messages(prompt.messages),
        passages=cast("Sequence[common_pb2.Passage]", prompt.passages),
        question_vectors=conversion.vectors(prompt.vectors),
        sampling=_sampling(prompt.sampling),
        instructions=prompt.step.instructions,
        canary=prompt.canary,
        tools=_tools(prompt.tools) if prompt.tools.functions else None,
        answer_format=_answer_format(prompt.answer_format) if prompt.answer_format.is_json else None,
        prompt=None if prompt.step.prompt is None else _laid_out(prompt.step.prompt),
        priority=PRIORITIES[prompt.priority],
    )


def messages(conversation: Sequence[Message]) -> list[inference_pb2.Message]:
    """A conversation as messages."""
    return [
        inference_pb2.Message(
            role=message.role,
            content=message.content,
            tool_calls=[
                inference_pb2.ToolCall(id=call.id, name=call.name, arguments=call.arguments)
                for call in message.tool_calls
            ],
            tool_call_id=message.tool_call_id,
        )
        for message in conversation
    ]


def message_from(message: inference_pb2.Message) -> Message:
    """One message of a conversation."""
    calls = tuple(ToolCall(call.name, call.arguments, call.id) for call in message.tool_calls)
    return Message(message.role, message.content, calls, message.tool_call_id)


def sampling_from(message: inference_pb2.Sampling) -> Sampling:
    """How to sample one answer.

    Raises:
        InvalidArgument: it asks for what an answer over gRPC has no place for.
    """
    for field, asked in (("n", message.n > 1), ("top_logprobs", message.HasField("top_logprobs"))):
        if asked:
            error = f"{field} can be asked for over HTTP only"
            raise InvalidArgument(error, reason="UNSUPPORTED_VALUE", field=f"sampling.{field}")
    return Sampling(
        temperature=message.temperature if message.HasField("temperature") else None,
        top_p=message.top_p if message.HasField("top_p") else None,
        max_tokens=message.max_tokens if message.HasField("max_tokens") else None,
        stop=tuple(message.stop),
        seed=message.seed if message.HasField("seed") else None,
        frequency_penalty=message.frequency_penalty if message.HasField("frequency_penalty") else None,
        presence_penalty=message.presence_penalty if message.HasField("presence_penalty") else None,
        logit_bias=tuple(sorted(message.logit_bias.items())),
    )


def delta(piece: inference_pb2.Delta) -> Delta:
    """A piece of an answer."""
    return Delta(
        piece.text,
        piece.choice,
        tuple(ToolCallDelta(call.index, call.id, call.name, call.arguments) for call in piece.tool_calls),
        tuple(_logprob(logprob) for logprob in piece.logprobs),
        _REASONS.get(piece.finish_reason, "stop"),
    )


def finish(end: inference_pb2.Finish) -> Finish:
    """The end of an answer."""
    return Finish(
        _REASONS.get(end.reason) or "stop",
        usage(end.usage),
        end.model,
        end.unanswerable,
        system_fingerprint=end.system_fingerprint,
        prepared=Prepared(end.passages_read, end.turns_left_out) if end.HasField("passages_read") else None,
        replica=end.replica,
        queued_seconds=end.queued_seconds,
    )


def prepared(told: inference_pb2.Prepared) -> Prepared:
    """What the model reads."""
    return Prepared(told.passages_read, told.turns_left_out)


def usage(used: inference_pb2.Usage) -> Usage:
    """Tokens read and written."""
    return Usage(used.prompt_tokens, used.completion_tokens, used.estimated)


def _sampling(how: Sampling) -> inference_pb2.Sampling:
    return inference_pb2.Sampling(
        temperature=how.temperature,
        top_p=how.top_p,
        max_tokens=how.max_tokens,
        stop=how.stop,
        seed=how.seed,
        frequency_penalty=how.frequency_penalty,
        presence_penalty=how.presence_penalty,
        logit_bias=dict(how.logit_bias),
        n=how.n,
        top_logprobs=how.top_logprobs,
    )


def _tools(tools: Tools) -> inference_pb2.Tools:
    return inference_pb2.Tools(
        functions=[
            inference_pb2.Tool(
                name=tool.name,
                description=tool.description,
                parameters_json=tool.parameters,
                strict=tool.strict,
            )
            for tool in tools.functions
        ],
        choice=_CHOICES[tools.choice],
        name=tools.name,
        parallel=tools.parallel,
    )


def _laid_out(how: prompts.Prompt) -> inference_pb2.Prompt:
    return inference_pb2.Prompt(
        template=how.template,
        max_prompt_tokens=how.max_prompt_tokens or 0,
        max_history_tokens=how.max_history_tokens,
        min_passages=how.min_passages,
        max_passage_tokens=how.max_passage_tokens or 0,
        passage_order=_ORDERS[how.passage_order],
        titles=how.titles,
        metadata=how.metadata,
        special_tokens=how.special_tokens,
    )


def _answer_format(wanted: AnswerFormat) -> inference_pb2.AnswerFormat:
    return inference_pb2.AnswerFormat(
        form=_FORMS[wanted.form], name=wanted.name, schema_json=wanted.schema, strict=wanted.strict
    )


def _logprob(logprob: inference_pb2.Logprob) -> Logprob:
    return Logprob(
        logprob.token,
        logprob.value,
        logprob.bytes if logprob.HasField("bytes") else None,
        tuple(_logprob(other) for other in logprob.top),
    )
