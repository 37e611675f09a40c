"""Reading a request's body: its size, its encoding, its JSON, its fields, each with an error of its own."""

from typing import TypeVar

from fastapi import Request
from pydantic import BaseModel, ConfigDict, ValidationError
from starlette.requests import ClientDisconnect

from sluice_gateway.http.errors import BodyTooLarge
from sluice_servicekit.errors import Cancelled, InvalidArgument

M = TypeVar("M", bound="RequestModel")


class RequestModel(BaseModel):
    """A body: known fields are read strictly, unknown ones ignored, since OpenAI's clients send many."""

    model_config = ConfigDict(strict=True, extra="ignore", frozen=True)


async def read(request: Request, model: type[M], limit: int) -> M:
    """The body as a model.

    Raises:
        BodyTooLarge: it has more than `limit` bytes.
        Cancelled: the caller left before it was here.
        InvalidArgument: it is not UTF-8, not JSON, or a field is wrong; the first wrong field is named.
    """
    return parse(await read_bytes(request, limit), model)


def parse(content: bytes, model: type[M]) -> M:
    """A body's bytes as a model; raises as `read`."""
    try:
        content.decode()
    except UnicodeDecodeError as error:
        raise InvalidArgument(f"the body is not UTF-8: byte {error.start} cannot be read") from None
    try:
        # Strict within objects' models too; REST knows their fields by their names only, not in camel case.
        return model.model_validate_json(content, strict=True, by_name=True, by_alias=False)
    except ValidationError as error:
        raise _invalid(error) from None


async def read_bytes(request: Request, limit: int) -> bytes:
    """The body as it is.

    Raises:
        BodyTooLarge: it has more than `limit` bytes.
        Cancelled: the caller left before it was here.
    """
    declared = request.headers.get("content-length", "")
    if declared.isdigit() and int(declared) > limit:
        raise _too_large(limit)
    content = bytearray()
    try:
        async for piece in request.stream():
            content += piece
            if len(content) > limit:
                raise _too_large(limit)
    except ClientDisconnect:
        raise Cancelled("the caller went away") from None
    return bytes(content)


def _too_large(limit: int) -> BodyTooLarge:
    size = f"{limit >> 20} MiB" if limit >= 1 << 20 else f"{limit >> 10} KiB"
    return BodyTooLarge(f"the body is larger than {size}")


def _invalid(error: ValidationError) -> InvalidArgument:
    detail = error.errors(include_url=False, include_input=False)[0]
    message = str(detail["msg"]).removeprefix("Value error, ")
    if detail["type"] == "json_invalid":
        return InvalidArgument(f"the body is not JSON: {message.removeprefix('Invalid JSON: ')}")
    path = ""
    for part in detail["loc"]:
        path += f"[{part}]" if isinstance(part, int) else f".{part}"
    path = path.lstrip(".")
    return InvalidArgument(f"{path}: {message}" if path else message, field=path)
