"""Custom sections of a module: data that it carries and does not run. Pure."""

from collections.abc import Iterator

#: Where a module carries examples of what it shall answer; see `abi.Case`.
CASES = "sluice.cases"

_HEADER = b"\0asm\1\0\0\0"


def custom_section(module: bytes, name: str) -> bytes | None:
    """The content of the first custom section of a name, in a valid module."""
    for found, content in _custom_sections(module):
        if found == name:
            return content
    return None


def with_custom_section(module: bytes, name: str, content: bytes) -> bytes:
    """The module with a custom section in the place of those that have its name.

    Raises:
        ValueError: it is no module.
    """
    if not module.startswith(_HEADER):
        raise ValueError("not a WebAssembly module")
    kept = b"".join(
        module[start:end]
        for start, body, end in _sections(module)
        if not (module[start] == 0 and _named(module[body:end])[0] == name)
    )
    body = _leb(len(name.encode())) + name.encode() + content
    return _HEADER + kept + b"\0" + _leb(len(body)) + body


def _custom_sections(module: bytes) -> Iterator[tuple[str, bytes]]:
    for start, body, end in _sections(module):
        if module[start] == 0:
            yield _named(module[body:end])


def _sections(module: bytes) -> Iterator[tuple[int, int, int]]:
    """Where each section begins, where its content begins, and where it ends."""
    at = len(_HEADER)
    while at < len(module):
        size, body = _read_leb(module, at + 1)
        yield at, body, body + size
        at = body + size


def _named(content: bytes) -> tuple[str, bytes]:
    size, at = _read_leb(content, 0)
    return content[at : at + size].decode(errors="replace"), content[at + size :]


def _read_leb(content: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = content[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at


def _leb(value: int) -> bytes:
    found = bytearray()
    while value >= 0x80:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*found, value])
