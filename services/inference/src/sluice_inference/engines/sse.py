"""Server-sent events as OpenAI-compatible servers send them, read as they come in."""

from collections.abc import AsyncIterable, AsyncIterator

#: The longest line that is read, in bytes.
LONGEST = 4 << 20


async def data(pieces: AsyncIterable[bytes]) -> AsyncIterator[bytes]:
    """The data of each event: comments and other fields left out, lines of one event joined.

    Args:
        pieces: The reply, cut anywhere.

    Raises:
        ValueError: a line is longer than `LONGEST`.
    """
    rest = b""
    parts: list[bytes] = []
    async for piece in pieces:
        lines = (rest + piece).split(b"\n")
        rest = lines.pop()
        if len(rest) > LONGEST:
            raise ValueError(f"a line of an event is longer than {LONGEST} bytes")
        for line in lines:
            if line.startswith(b"data:"):
                parts.append(_value(line))
            elif parts and line in (b"", b"\r"):
                yield parts[0] if len(parts) == 1 else b"\n".join(parts)
                parts = []
    if rest.startswith(b"data:"):
        parts.append(_value(rest))
    if parts:  # a server that ends without the last blank line
        yield b"\n".join(parts)


def _value(line: bytes) -> bytes:
    return line[6 if line.startswith(b"data: ") else 5 :].removesuffix(b"\r")
