"""What vLLM 0.32 refuses of a request for text, of all that a gateway might send. Pure."""

import json

from doubles.vllm import errors, tokens
from doubles.vllm.errors import ApiError
from doubles.vllm.settings import Settings
from doubles.vllm.writing import Json


def chat(body: Json) -> None:
    """Raises where the options of a conversation do not fit."""
    tools, choice = body.get("tools"), body.get("tool_choice")
    if "messages" not in body:
        raise errors.missing(["messages"], body)
    if not body["messages"]:
        said = "Cannot apply chat template to an empty conversation. Provide at least one message."
        raise ApiError(400, said)
    _options(body)
    if choice not in (None, "none") and not tools:
        raise _wrong("When using `tool_choice`, `tools` must be set.", "tool_choice")
    if isinstance(choice, dict):
        _chosen(choice, [tool["function"]["name"] for tool in tools or ()])
    if body.get("top_logprobs", 0) > 20:
        most = body["top_logprobs"]
        message = f"Requested sample logprobs of {most}, which is greater than max allowed: 20"
        raise ApiError(400, f"{message} (parameter=logprobs, value={most})", param="logprobs")
    if "nonsense" in json.dumps(body.get("response_format")):
        message = 'Failed to transform json schema into a grammar: [02:06:25] <path>:4944: Unsupported type "nonsense"'
        raise ApiError(400, message)


def completion(body: Json) -> None:
    """Raises where the options of a prompt do not fit."""
    _options(body)
    if not body.get("prompt"):
        raise _wrong("Either prompt or prompt_embeds must be provided and non-empty.", "prompt")


def lengths(body: Json, settings: Settings, prompt: str, count: int) -> int:
    """How many tokens may be written; raises where the prompt or the limit is beyond the context."""
    length = settings.max_model_len
    asked, field = body.get("max_tokens"), "max_tokens"
    if body.get("max_completion_tokens") is not None:
        asked, field = body["max_completion_tokens"], "max_completion_tokens"
    if asked is not None and asked > length:
        raise errors.too_many_output_tokens(field, asked, length)
    characters = length * tokens.CHARACTERS_PER_TOKEN
    if len(prompt) > characters:
        raise errors.too_many_characters(len(prompt), length, characters)
    if count > length:
        raise errors.too_many_tokens(count, length)
    return min(length - count, length if asked is None else asked)


def _options(body: Json) -> None:
    if body.get("stream_options") and not body.get("stream"):
        raise _wrong("Stream options can only be defined when `stream=True`.", "stream_options")


def _chosen(choice: Json, names: list[str]) -> None:
    function = choice.get("function")
    if not function:
        usage = '{"type": "function", "function": {"name": "my_function"}}'
        message = f"Invalid value for `function`: `{function}` in `tool_choice`! Correct usage: `{usage}`"
        raise _wrong(message, "tool_choice.function")
    if function["name"] not in names:
        message = "The tool specified in `tool_choice` does not match any of the specified `tools`"
        raise _wrong(message, "tool_choice")


def _wrong(message: str, param: str) -> ApiError:
    return ApiError(400, f"{message} (parameter={param})", param=param)
