"""Server-sent events as OpenAI-compatible servers send them, read line by line."""

from collections.abc import AsyncIterable, AsyncIterator


async def data(lines: AsyncIterable[bytes]) -> AsyncIterator[str]:
    """The data of each event: comments and other fields left out, lines of one event joined."""
    parts: list[str] = []
    async for raw in lines:
        line = raw.decode("utf-8", errors="replace").rstrip("\r\n")
        if not line:
            if parts:
                yield "\n".join(parts)
            parts = []
        elif line.startswith("data:"):
            parts.append(line.removeprefix("data:").removeprefix(" "))
    if parts:  # a server that ends without the last blank line
        yield "\n".join(parts)
