"""What steps give, as bytes and back: portable JSON, never pickle.

Only names this project has given can be read: dataclasses and enums of `sluice_gateway.domain`, models of
`sluice_api`, messages of `sluice.*`. Everything else is refused, on the way in as on the way out.
"""

import base64
import dataclasses
import importlib
import json
from collections.abc import Mapping, Sequence
from enum import Enum
from functools import cache
from typing import Any

from google.protobuf import symbol_database
from google.protobuf.message import DecodeError, Message
from pydantic import BaseModel, ValidationError

# Their types are in the database of symbols once they are imported.
from sluice.common.v1 import common_pb2  # noqa: F401
from sluice.retriever.v1 import retriever_pb2  # noqa: F401

_DOMAIN = "sluice_gateway.domain."
_API = "sluice_api."
_PROTO = "sluice."

#: The one key that an encoded mapping never has by itself.
_TAG = "$"


class CodecError(ValueError):
    """A value that has no encoding, or content that is none of this version."""


def encode(value: object) -> bytes:
    """A value as UTF-8 JSON.

    Raises:
        CodecError: some part of it has no encoding.
    """
    return json.dumps(_encoded(value), separators=(",", ":"), ensure_ascii=True).encode()


def decode(content: bytes) -> Any:
    """The value; sequences that were no tuples are lists.

    Raises:
        CodecError: it is not what `encode` writes, or names what this version does not know.
    """
    try:
        return _decoded(json.loads(content))
    except CodecError:
        raise
    except (ValueError, TypeError, KeyError, AttributeError, DecodeError, ValidationError) as error:
        raise CodecError(f"the content cannot be read: {type(error).__name__}") from error


def _encoded(value: object) -> object:  # noqa: C901 - one line for each kind of value
    if isinstance(value, Enum):
        return {_TAG: "enum", "of": _name(type(value), _DOMAIN, _API), "is": _encoded(value.value)}
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, bytes):
        return {_TAG: "bytes", "is": base64.b64encode(value).decode()}
    if isinstance(value, Message):
        name = value.DESCRIPTOR.full_name
        if not name.startswith(_PROTO):
            raise CodecError(f"messages of {name} are not kept")
        content = base64.b64encode(value.SerializeToString(deterministic=True)).decode()
        return {_TAG: "message", "of": name, "is": content}
    if isinstance(value, BaseModel):
        content_of = value.model_dump(mode="json", by_alias=True)
        return {_TAG: "model", "of": _name(type(value), _API), "is": content_of}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {field.name: _encoded(getattr(value, field.name)) for field in dataclasses.fields(value)}
        return {_TAG: "data", "of": _name(type(value), _DOMAIN), "is": fields}
    if isinstance(value, Mapping):
        return {_TAG: "map", "is": [[_encoded(key), _encoded(item)] for key, item in value.items()]}
    if isinstance(value, tuple):
        return {_TAG: "tuple", "is": [_encoded(item) for item in value]}
    if isinstance(value, Sequence):
        return [_encoded(item) for item in value]
    raise CodecError(f"{type(value).__qualname__} has no encoding")


def _decoded(value: Any) -> Any:  # noqa: C901 - one line for each kind of value
    if isinstance(value, list):
        return [_decoded(item) for item in value]
    if not isinstance(value, dict):
        return value
    kind, content = value[_TAG], value["is"]
    if kind == "bytes":
        return base64.b64decode(content, validate=True)
    if kind == "tuple":
        return tuple(_decoded(item) for item in content)
    if kind == "map":
        return {_decoded(key): _decoded(item) for key, item in content}
    if kind == "message":
        return _message(value["of"], base64.b64decode(content, validate=True))
    if kind == "enum":
        return _class(value["of"], Enum)(_decoded(content))
    if kind == "model":
        return _class(value["of"], BaseModel).model_validate(content)
    if kind == "data":
        found = _class(value["of"], object)
        if not hasattr(found, "__dataclass_fields__"):
            raise CodecError(f"{value['of']} is not kept")
        return found(**{name: _decoded(item) for name, item in content.items()})
    raise CodecError(f"{kind!r} is no kind of value")


def _name(of: type, *allowed: str) -> str:
    if not of.__module__.startswith(allowed):
        raise CodecError(f"{of.__module__}.{of.__qualname__} has no encoding")
    return f"{of.__module__}:{of.__qualname__}"


@cache
def _class(name: str, base: type) -> Any:
    module, _, qualified = name.partition(":")
    if not module.startswith((_DOMAIN, _API)) or "." in qualified:
        raise CodecError(f"{name} is not kept")
    try:
        found = getattr(importlib.import_module(module), qualified)
    except (ImportError, AttributeError) as error:
        raise CodecError(f"this version knows no {name}") from error
    if not (isinstance(found, type) and issubclass(found, base) and found.__module__ == module):
        raise CodecError(f"{name} is not kept")
    return found


def _message(name: str, content: bytes) -> Message:
    if not name.startswith(_PROTO):
        raise CodecError(f"messages of {name} are not kept")
    message: Message = symbol_database.Default().GetSymbol(name)()
    message.ParseFromString(content)
    return message
