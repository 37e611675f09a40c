"""Reading a request's body: its type, its size, its encoding, its JSON, its fields, each with an error of its own."""

import math
from email.message import Message
from typing import TypeVar

import jiter
from fastapi import Request
from pydantic import BaseModel, ConfigDict, ValidationError
from starlette.requests import ClientDisconnect

from sluice_gateway.http.errors import BodyTooLarge, UnsupportedMediaType
from sluice_servicekit.errors import Cancelled, InvalidArgument

M = TypeVar("M", bound="RequestModel")


class RequestModel(BaseModel):
    """A body: known fields are read strictly, unknown ones ignored, since OpenAI's clients send many."""

    model_config = ConfigDict(strict=True, extra="ignore", frozen=True)


async def read(request: Request, model: type[M], limit: int) -> M:
    """The body as a model.

    Raises:
        UnsupportedMediaType: it is not said to be JSON.
        BodyTooLarge: it has more than `limit` bytes.
        Cancelled: the caller left before it was here.
        InvalidArgument: it is not UTF-8, not JSON, or a field is wrong; the first wrong field is named.
    """
    return parse(await read_json(request, limit), model)


def parse(content: bytes, model: type[M]) -> M:
    """The body's bytes as a model.

    Raises:
        InvalidArgument: as `read`.
    """
    _require_sound(content)
    try:
        # Strict within objects' models too; REST knows their fields by their names only, not in camel case.
        return model.model_validate_json(content, strict=True, by_name=True, by_alias=False)
    except ValidationError as error:
        raise _invalid(error) from None


async def read_json(request: Request, limit: int) -> bytes:
    """The bytes of a body that is said to be JSON.

    Raises:
        UnsupportedMediaType: it is not.
        BodyTooLarge: it has more than `limit` bytes.
        Cancelled: the caller left before it was here.
    """
    _require_json(request)
    return await read_bytes(request, limit)


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


def _require_json(request: Request) -> None:
    """Also where no type is named: any web page can have a browser send such a body to an open gateway, unasked."""
    given = request.headers.get("content-type", "")
    media_type, _, parameters = given.partition(";")
    media_type = media_type.strip().lower()
    is_json = media_type == "application/json" or (
        media_type.startswith("application/") and media_type.endswith("+json")
    )
    if not is_json or not _is_utf8(given if parameters else ""):
        said = f"not {given!r}" if given else "and name it in content-type"
        raise UnsupportedMediaType(f"send application/json in UTF-8, {said}")
    if (coding := request.headers.get("content-encoding", "identity")).lower() != "identity":
        raise UnsupportedMediaType(f"send the body as it is; content-encoding {coding!r} is not read")


def _is_utf8(content_type: str) -> bool:
    if not content_type:
        return True
    header = Message()
    header["content-type"] = content_type
    return (header.get_content_charset() or "utf-8") in ("utf-8", "utf8", "us-ascii")


def _require_sound(content: bytes) -> None:
    """Raises for what is JSON to some readers only: names given twice, NaN, numbers and depths beyond bounds."""
    try:
        content.decode()
    except UnicodeDecodeError as error:
        raise InvalidArgument(f"the body is not UTF-8: byte {error.start} cannot be read") from None
    try:
        parsed = jiter.from_json(content, allow_inf_nan=False, catch_duplicate_keys=True)
    except ValueError as error:
        raise InvalidArgument(f"the body is not JSON: {error}") from None
    waiting = [parsed]
    while waiting:
        each = waiting.pop()
        if isinstance(each, dict):
            waiting.extend(each.values())
        elif isinstance(each, list):
            waiting.extend(each)
        elif isinstance(each, float) and not math.isfinite(each):
            raise InvalidArgument("the body holds a number that is too large")


def _too_large(limit: int) -> BodyTooLarge:
    size = f"{limit >> 20} MiB" if limit >= 1 << 20 else f"{limit >> 10} KiB"
    return BodyTooLarge(f"the body is larger than {size}")


def _invalid(error: ValidationError) -> InvalidArgument:
    detail = error.errors(include_url=False, include_input=False)[0]
    message = str(detail["msg"]).removeprefix("Value error, ")
    path = ""
    for part in detail["loc"]:
        path += f"[{part}]" if isinstance(part, int) else f".{part}"
    path = path.lstrip(".")
    return InvalidArgument(f"{path}: {message}" if path else message, field=path)
