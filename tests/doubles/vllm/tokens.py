"""A tokenizer of its own: up to four bytes make a token, a word begins one. No vocabulary, the same on every server."""

import re
from collections.abc import Iterable, Sequence
from typing import Any

#: Characters of the longest token times the tokens of the context: what vLLM refuses before it counts.
CHARACTERS_PER_TOKEN = 6

_PIECE = re.compile(rb" ?[^ ]{1,3}| ")


def encode(text: str) -> list[int]:
    """Ids; `decode` undoes it."""
    return [int.from_bytes(b"\x01" + piece) for piece in _PIECE.findall(text.encode())]


def decode(ids: Iterable[int]) -> str:
    """The text; ids that are none are left out."""
    return b"".join(_bytes(each) for each in ids).decode(errors="replace")


def strings(ids: Iterable[int]) -> list[str]:
    """Each token as byte-level vocabularies spell it."""
    return [_bytes(each).decode(errors="replace").replace(" ", "Ġ") for each in ids]


def chat_text(messages: Sequence[dict[str, Any]], *, prompted: bool = True) -> str:
    """The prompt that a conversation makes: the template of the recorded server's model."""
    lines = "".join(f"{message['role']}: {_content(message)}\n" for message in messages)
    return f"{lines}assistant:" if prompted else lines


def _content(message: dict[str, Any]) -> str:
    content = message.get("content")
    if isinstance(content, list):
        return "".join(part.get("text", "") for part in content)
    return content or ""


def _bytes(token: int) -> bytes:
    raw = token.to_bytes(8).lstrip(b"\x00")
    return raw[1:] if raw[:1] == b"\x01" else b""
