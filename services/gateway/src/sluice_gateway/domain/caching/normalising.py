"""A request as bytes that are the same where it asks the same. Pure.

Whatever a request has goes in, so that a field that is added later separates requests until somebody says otherwise.
"""

import hashlib
import json
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from typing import Any, Protocol, runtime_checkable

from pydantic import BaseModel

from sluice_gateway.domain.model import Message, Principal


class NotComparableError(Exception):
    """A value of a kind that cannot be told from others of it."""


@runtime_checkable
class _Serializable(Protocol):
    """A message of Protocol Buffers, of which the domain knows no more than this."""

    def SerializeToString(self, *, deterministic: bool) -> bytes: ...  # noqa: N802 - its name there


def digest(*parts: Any) -> bytes:
    """SHA-256 of values: dataclasses, models, messages, and what JSON has.

    Raises:
        NotComparableError: one of them is of another kind.
    """
    content = json.dumps([_plain(part) for part in parts], ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(content.encode(errors="surrogatepass")).digest()


def text(content: str) -> str:
    """A message's text: Unicode's composed form, one kind of line end, and nothing around it. Blanks within it stay,
    since they mean something in code."""
    return unicodedata.normalize("NFC", content).replace("\r\n", "\n").strip()


def reader(principal: Principal) -> list[object]:
    """What of a principal decides what it is answered: the tenant, its roles, its ACL. Its subject decides nothing that
    these do not say."""
    return [principal.tenant, sorted(set(principal.roles)), sorted(set(principal.acl))]


def _plain(value: Any) -> object:
    if isinstance(value, Enum):
        return _plain(value.value)
    if value is None or isinstance(value, str | int | float):  # of bool too
        return value
    if isinstance(value, bytes):
        return {"bytes": value.hex()}
    if isinstance(value, Message):
        return {**_fields(value), "content": text(value.content)}
    if is_dataclass(value) and not isinstance(value, type):
        return _fields(value)
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    if isinstance(value, _Serializable):
        return {"message": type(value).__name__, "bytes": value.SerializeToString(deterministic=True).hex()}
    if isinstance(value, Mapping):
        return {"map": sorted(([str(key), _plain(each)] for key, each in value.items()), key=str)}
    if isinstance(value, Iterable):
        return [_plain(each) for each in value]
    raise NotComparableError(type(value).__name__)


def _fields(value: Any) -> dict[str, object]:
    return {field.name: _plain(getattr(value, field.name)) for field in fields(value)}
