"""What vLLM 0.32 says where it refuses, in its words."""

import re
from typing import Any


class ApiError(Exception):
    """A reply that is an error."""

    def __init__(
        self,
        status: int,
        message: str,
        kind: str = "BadRequestError",
        param: str | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.kind = kind
        self.param = param
        self.headers = headers or {}

    @property
    def body(self) -> dict[str, Any]:
        """The JSON that is sent."""
        if self.status == 401:  # by the middleware that asks for the key, in a form of its own
            return {"error": str(self)}
        message = without_paths(str(self))
        return {"error": {"message": message, "type": self.kind, "param": self.param, "code": self.status}}


def without_paths(message: str) -> str:
    """A message as vLLM shows it (`sanitize_message`): folders of the machine are hidden."""
    message = re.sub(r"/(?:home|usr|opt|var|tmp|root|lib|mnt|srv)(?:/[\w.\-]+)+", "<path>", message)
    return re.sub(r"(?:/[\w\-]+)+/[\w\-]+\.\w+", "<path>", message).strip()


def unauthorized() -> ApiError:
    """No key, or another."""
    return ApiError(401, "Unauthorized")


def failed(status: int) -> ApiError:
    """An error of each status that callers tell apart, in vLLM's form."""
    if status == 401:
        return unauthorized()
    said: dict[int, tuple[str, str, str | None]] = {
        400: (
            "This model's maximum context length is 1024 tokens. Please reduce the length of the input prompt.",
            "BadRequestError",
            "input_text",
        ),
        404: ("The model `unknown` does not exist. Valid aliases: tiny.", "NotFoundError", "model"),
        429: ("busy", "TooManyRequests", None),
        500: ("EngineCore died", "InternalServerError", None),
        503: ("no room", "ServiceUnavailableError", None),
    }
    message, kind, param = said[status]
    return ApiError(status, message, kind, param, {"retry-after": "3"} if status == 429 else {})


def unknown_model(name: str, base: str) -> ApiError:
    """Neither the base model nor a loaded adapter."""
    message = f"The model `{name}` does not exist. Valid aliases: {base}."
    return ApiError(404, message, "NotFoundError", "model")


def missing(fields: list[str], body: dict[str, Any]) -> ApiError:
    """Fields that a body lacks."""
    lines = [
        str({"type": "missing", "loc": f"body.{field}", "msg": "Field required", "input": _items(body)})
        for field in fields
    ]
    label = "error" if len(fields) == 1 else "errors"
    text = "\n".join(f"  {line}" for line in lines)
    return ApiError(400, f"{len(fields)} validation {label}:\n{text}", "Bad Request", f"body.{fields[0]}")


def _items(body: dict[str, Any]) -> str:
    return f"<dict of {len(body)} items>"


def lora(message: str) -> ApiError:
    """A call about an adapter that makes no sense."""
    return ApiError(400, message, "InvalidUserInput")


def already_loaded(name: str) -> ApiError:
    """A name that is taken."""
    return lora(
        f"The lora adapter '{name}' has already been loaded. If you want to load the adapter in place, set "
        "'load_inplace' to True."
    )


def not_loaded(name: str) -> ApiError:
    """An unload of what is not there."""
    return ApiError(404, f"The lora adapter '{name}' cannot be found.", "NotFoundError")


def no_adapter(name: str, path: str) -> ApiError:
    """A folder that is none, or has no configuration."""
    return ApiError(404, f"Loading lora {name} failed: No adapter found for {path}", "NotFoundError")


def load_failed(reason: str) -> ApiError:
    """The engine's worker gave up."""
    return ApiError(
        500,
        f"Call to add_lora method failed: Worker failed with error '{reason}', please check the stack trace above "
        "for the root cause",
        "InternalServerError",
    )


def too_many_characters(characters: int, length: int, most: int) -> ApiError:
    """A prompt so long that it is not even tokenized."""
    return ApiError(
        400,
        f"This model's maximum context length is {length} tokens. However, your prompt contains {characters} "
        f"characters (more than {most} characters, which is the upper bound for {length} input tokens). Please "
        f"reduce the length of the input prompt. (parameter=input_text, value={characters})",
        param="input_text",
    )


def too_many_tokens(tokens: int, length: int) -> ApiError:
    """A prompt longer than the context; it is counted no further than one token beyond."""
    counted = min(tokens, length + 1)
    return ApiError(
        400,
        f"This model's maximum context length is {length} tokens. However, your prompt contains at least {counted} "
        f"input tokens, which exceeds this limit even without any output tokens. Please reduce the length of the "
        f"input prompt. (parameter=input_tokens, value={counted})",
        param="input_tokens",
    )


def too_many_output_tokens(field: str, asked: int, length: int) -> ApiError:
    """A limit of the answer that is beyond the context."""
    return ApiError(
        400,
        f"{field}={asked} cannot be greater than max_model_len={length}. Please request fewer output tokens. "
        f"(parameter={field}, value={asked})",
        param=field,
    )


def engine_died() -> ApiError:
    """The engine is no more; soon the server is not either."""
    said = "EngineCore encountered an issue. See stack trace (above) for the root cause."
    return ApiError(500, said, "InternalServerError")


def no_json(reason: str, position: int) -> ApiError:
    """A body that is no JSON."""
    context = {"error": reason}
    return _invalid("json_invalid", f"body.{position}", "JSON decode error", "<dict of 0 items>", ctx=context)


def no_object(body: object) -> ApiError:
    """A body that is JSON of another kind."""
    said = "Input should be a valid dictionary or object to extract fields from"
    size = f"<{type(body).__name__} of {len(body)} items>" if isinstance(body, list) else body
    return _invalid("model_attributes_type", "body", said, size)


def media_type() -> ApiError:
    """A body that does not say that it is JSON."""
    said = "Unsupported Media Type: Only 'application/json' is allowed"
    return ApiError(400, f"1 validation error:\n  {said}", "Bad Request")


def _invalid(kind: str, place: str, said: str, given: object, **more: object) -> ApiError:
    line = {"type": kind, "loc": place, "msg": said, "input": given, **more}
    return ApiError(400, f"1 validation error:\n  {line}", "Bad Request", place)
