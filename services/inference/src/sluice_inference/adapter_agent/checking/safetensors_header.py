"""The header of a safetensors file: which tensors it holds, of which kinds and shapes, and that they fill it exactly.

The format (https://huggingface.co/docs/safetensors): eight bytes with the header's length, little-endian; the header,
a JSON object; the tensors' bytes without a gap. The reference library reads no shapes without numpy, whose 60 MB
nothing else here needs, and takes the last of two tensors of one name; here that is refused.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any, Final

#: Bytes; the format allows 100 MB, of which a parser in Python would make more than a gigabyte.
MAX_HEADER: Final = 32 << 20

#: Bits of an element.
_BITS: Final = {
    "F4": 4,
    "F6_E2M3": 6,
    "F6_E3M2": 6,
    "BOOL": 8,
    "U8": 8,
    "I8": 8,
    "F8_E4M3": 8,
    "F8_E5M2": 8,
    "F8_E8M0": 8,
    "F8_E4M3FNUZ": 8,
    "F8_E5M2FNUZ": 8,
    "U16": 16,
    "I16": 16,
    "F16": 16,
    "BF16": 16,
    "U32": 32,
    "I32": 32,
    "F32": 32,
    "U64": 64,
    "I64": 64,
    "F64": 64,
    "C64": 64,
}
_METADATA: Final = "__metadata__"


class NotSafetensors(ValueError):
    """The file is not of the format; the text says how."""


@dataclass(frozen=True, slots=True)
class Tensor:
    """A tensor's kind and shape."""

    dtype: str
    shape: tuple[int, ...]


def read(path: Path) -> dict[str, Tensor]:
    """The tensors of a file by name.

    Raises:
        NotSafetensors: it is none, it is cut off, or more follows.
        OSError: it cannot be read.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if size < 8 or length > size - 8:
            raise NotSafetensors("the file ends before its header does")
        if length > MAX_HEADER:
            raise NotSafetensors(f"the header has {length} bytes; {MAX_HEADER} are the most")
        header = file.read(length)
    return parse(header, size - 8 - length)


def parse(header: bytes, data_bytes: int) -> dict[str, Tensor]:
    """The tensors of a header by name.

    Args:
        header: Its JSON.
        data_bytes: Bytes that follow it.

    Raises:
        NotSafetensors: it is no such header, or does not tell of all that follows.
    """
    if not header.startswith(b"{"):
        raise NotSafetensors("the header is no JSON object")
    try:
        entries = json.loads(header, object_pairs_hook=_once)
    except (ValueError, RecursionError) as error:
        raise NotSafetensors(f"the header cannot be read: {_short(error)}") from None
    metadata = entries.pop(_METADATA, {})
    if not isinstance(metadata, dict) or not all(isinstance(text, str) for text in metadata.values()):
        raise NotSafetensors(f"{_METADATA} does not map text to text")
    tensors, places = {}, []
    for name, entry in entries.items():
        tensor, begin, end = _tensor(name, entry)
        tensors[name] = tensor
        places.append((begin, end, name))
    _filled(sorted(places), data_bytes)
    return tensors


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name stands there twice")
    return found


def _tensor(name: str, entry: Any) -> tuple[Tensor, int, int]:
    if not isinstance(entry, Mapping):
        raise NotSafetensors(f"{_short(name)} is no tensor")
    dtype, shape, place = (
        entry.get("dtype"),
        _numbers(entry.get("shape")),
        _numbers(entry.get("data_offsets")),
    )
    if not isinstance(dtype, str) or dtype not in _BITS:
        raise NotSafetensors(f"{_short(name)} has a dtype that is not known: {_short(dtype)}")
    if shape is None or place is None or len(place) != 2:
        raise NotSafetensors(f"{_short(name)} has no shape or no place")
    begin, end = place
    if (end - begin) * 8 != prod(shape) * _BITS[dtype]:
        raise NotSafetensors(f"{_short(name)} does not fit where it is said to lie")
    return Tensor(dtype, shape), begin, end


def _numbers(value: Any) -> tuple[int, ...] | None:
    if isinstance(value, list) and all(type(each) is int and 0 <= each < 1 << 63 for each in value):
        return tuple(value)
    return None


def _filled(places: list[tuple[int, int, str]], data_bytes: int) -> None:
    at = 0
    for begin, end, name in places:
        if begin != at:
            raise NotSafetensors(f"there is a gap or an overlap before {_short(name)}")
        at = end
    if at != data_bytes:
        raise NotSafetensors(f"{data_bytes} bytes of tensors are there, {at} are told of")


def _short(value: object) -> str:
    return repr(str(value)[:80])
