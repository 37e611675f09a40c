"""Between messages and the domain. Converts only."""

import json

from pydantic import ValidationError

from sluice.inference.v1 import inference_pb2
from sluice_api.objects.prompt import PassageOrder, Prompt
from sluice_inference.domain.model import (
    AnswerForm,
    AnswerFormat,
    Delta,
    Finish,
    FinishReason,
    Logprob,
    Message,
    Passage,
    Prepared,
    Sampling,
    Sentence,
    Task,
    Usage,
)
from sluice_inference.domain.routing.queueing import Priority
from sluice_inference.domain.tools import Tool, ToolCall, ToolChoice, Tools
from sluice_servicekit.errors import InvalidArgument

_REASONS = {
    FinishReason.STOP: inference_pb2.FINISH_REASON_STOP,
    FinishReason.LENGTH: inference_pb2.FINISH_REASON_LENGTH,
    FinishReason.CONTENT_FILTER: inference_pb2.FINISH_REASON_CONTENT_FILTER,
    FinishReason.TOOL_CALLS: inference_pb2.FINISH_REASON_TOOL_CALLS,
}
_CHOICES = {
    inference_pb2.TOOL_CHOICE_AUTO: ToolChoice.AUTO,
    inference_pb2.TOOL_CHOICE_NONE: ToolChoice.NONE,
    inference_pb2.TOOL_CHOICE_REQUIRED: ToolChoice.REQUIRED,
    inference_pb2.TOOL_CHOICE_NAMED: ToolChoice.NAMED,
}
_PRIORITIES = {
    inference_pb2.PRIORITY_BATCH: Priority.BATCH,
    inference_pb2.PRIORITY_BACKGROUND: Priority.BACKGROUND,
}
_FORMS = {
    inference_pb2.ANSWER_FORM_JSON_OBJECT: AnswerForm.JSON_OBJECT,
    inference_pb2.ANSWER_FORM_JSON_SCHEMA: AnswerForm.JSON_SCHEMA,
}
_ORDERS = {
    inference_pb2.PASSAGE_ORDER_REVERSED: PassageOrder.REVERSED,
    inference_pb2.PASSAGE_ORDER_EDGES: PassageOrder.EDGES,
}


def task(request: inference_pb2.GenerateRequest) -> Task:
    """What is to be answered.

    Raises:
        InvalidArgument: a schema is not JSON, or the prompt cannot be laid out so.
    """
    return Task(
        messages=tuple(_message(message) for message in request.messages),
        passages=tuple(
            Passage(
                passage.document_id,
                passage.title,
                passage.text,
                passage.score,
                tuple(
                    Sentence(sentence.span.start, sentence.span.end, sentence.similarity)
                    for sentence in passage.sentences
                ),
                passage.metadata_json if request.prompt.metadata else "",
            )
            for passage in request.passages
        ),
        sampling=_sampling(request.sampling),
        instructions=request.instructions,
        model_name=request.model_name,
        canary=request.canary,
        tools=_tools(request.tools),
        answer_format=_answer_format(request.answer_format),
        prompt=_prompt(request.prompt),
        tenant=request.principal.tenant,
        priority=priority(request.priority),
    )


def priority(asked: "inference_pb2.Priority.ValueType") -> Priority:
    """The priority; the most urgent where none is said."""
    return _PRIORITIES.get(asked, Priority.INTERACTIVE)


def response(delta: Delta) -> inference_pb2.GenerateResponse:
    """A piece; the plainest way to say it, since most are text of the only answer."""
    usage = None if delta.usage is None else _usage(delta.usage)
    if delta.is_text:
        if not delta.text:
            return inference_pb2.GenerateResponse(usage=usage)
        return inference_pb2.GenerateResponse(delta=delta.text, usage=usage)
    piece = inference_pb2.Delta(
        choice=delta.choice,
        text=delta.text,
        tool_calls=[
            inference_pb2.ToolCallDelta(
                index=call.index, id=call.id, name=call.name, arguments=call.arguments
            )
            for call in delta.tool_calls
        ],
        logprobs=[_logprob(logprob) for logprob in delta.logprobs],
        finish_reason=inference_pb2.FINISH_REASON_UNSPECIFIED
        if delta.finish_reason is None
        else _REASONS[delta.finish_reason],
    )
    return inference_pb2.GenerateResponse(piece=piece, usage=usage)


def finish(end: Finish) -> inference_pb2.Finish:
    """The end."""
    prepared = end.prepared
    return inference_pb2.Finish(
        reason=_REASONS[end.reason],
        usage=_usage(Usage(end.prompt_tokens, end.completion_tokens, end.estimated)),
        model=end.model,
        unanswerable=end.unanswerable,
        system_fingerprint=end.system_fingerprint,
        passages_read=None if prepared is None else prepared.passages_read,
        turns_left_out=0 if prepared is None else prepared.turns_left_out,
        replica=end.replica,
        queued_seconds=end.queued_seconds,
    )


def _message(message: inference_pb2.Message) -> Message:
    calls = tuple(ToolCall(call.id, call.name, call.arguments) for call in message.tool_calls)
    return Message(message.role, message.content, calls, message.tool_call_id)


def _sampling(message: inference_pb2.Sampling) -> Sampling:
    def given(name: str) -> float | None:
        return getattr(message, name) if message.HasField(name) else None  # type: ignore[arg-type]

    return Sampling(
        temperature=given("temperature"),
        top_p=given("top_p"),
        max_tokens=message.max_tokens if message.HasField("max_tokens") else None,
        stop=tuple(message.stop),
        seed=message.seed if message.HasField("seed") else None,
        frequency_penalty=given("frequency_penalty"),
        presence_penalty=given("presence_penalty"),
        logit_bias=tuple(sorted(message.logit_bias.items())),
        n=max(1, message.n),
        top_logprobs=message.top_logprobs if message.HasField("top_logprobs") else None,
    )


def _tools(message: inference_pb2.Tools) -> Tools:
    return Tools(
        functions=tuple(
            Tool(
                function.name,
                function.description,
                _json(function.parameters_json, f"tools.functions[{index}].parameters_json"),
                function.strict if function.HasField("strict") else None,
            )
            for index, function in enumerate(message.functions)
        ),
        choice=_CHOICES.get(message.choice, ToolChoice.DEFAULT),
        name=message.name,
        parallel=message.parallel if message.HasField("parallel") else None,
    )


def _answer_format(message: inference_pb2.AnswerFormat) -> AnswerFormat:
    return AnswerFormat(
        _FORMS.get(message.form, AnswerForm.PROSE),
        message.name,
        _json(message.schema_json, "answer_format.schema_json"),
        message.strict if message.HasField("strict") else None,
    )


def _json(text: str, field: str) -> str:
    try:
        if text:
            json.loads(text)
    except ValueError as error:
        raise InvalidArgument(f"{field} is not JSON: {error}", field=field) from None
    return text


def prepared(prepared: Prepared) -> inference_pb2.GenerateResponse:
    """What the model reads."""
    content = inference_pb2.Prepared(
        passages_read=prepared.passages_read, turns_left_out=prepared.turns_left_out
    )
    return inference_pb2.GenerateResponse(prepared=content)


def _prompt(message: inference_pb2.Prompt) -> Prompt:
    fields = {
        "template": message.template,
        "max_prompt_tokens": message.max_prompt_tokens or None,
        "max_history_tokens": message.max_history_tokens if message.HasField("max_history_tokens") else None,
        "min_passages": message.min_passages or 1,
        "max_passage_tokens": message.max_passage_tokens or None,
        "passage_order": _ORDERS.get(message.passage_order, PassageOrder.RANK),
        "titles": message.titles if message.HasField("titles") else True,
        "metadata": tuple(message.metadata),
        "special_tokens": message.special_tokens,
    }
    try:
        return Prompt.model_validate(fields)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        field = f"prompt.{first['loc'][0]}"
        raise InvalidArgument(f"{field}: {first['msg']}", field=field) from None


def _usage(usage: Usage) -> inference_pb2.Usage:
    return inference_pb2.Usage(
        prompt_tokens=usage.prompt_tokens,
        completion_tokens=usage.completion_tokens,
        estimated=usage.estimated,
    )


def _logprob(logprob: Logprob) -> inference_pb2.Logprob:
    return inference_pb2.Logprob(
        token=logprob.token,
        value=logprob.value,
        bytes=logprob.raw,
        top=[_logprob(other) for other in logprob.top],
    )
