"""What to look for when a question leans on the turns before it. Pure."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from sluice_gateway.domain.leaning import leans
from sluice_gateway.domain.model import Message
from sluice_lexical.words import terms

#: User turns looked back at, and characters taken of each.
_TURNS, _CHARACTERS = 3, 500

#: Turns that an engine is shown, the question included, and characters of each.
_SHOWN, _SHOWN_CHARACTERS = 7, 1000

#: Characters that a rewritten question may have beyond all that the turns have.
_MARGIN = 100

#: Scripts without blanks are compared by their characters.
_UNSPACED = re.compile(r"[\u0e00-\u0eff\u3040-\u30ff\u3400-\u9fff]")


@dataclass(frozen=True, slots=True)
class Asked:
    """The last question of a conversation."""

    query: str
    """What to look for by rules alone: the question, with the turns that it leans on before it."""
    leans: bool
    """There are earlier questions, and by its words it leans on them."""
    turns: tuple[Message, ...] = ()
    """The last turns of user and assistant, the question at the end, each cut to a bound."""


def asked(messages: Sequence[Message]) -> Asked:
    """Reads a conversation. Earlier questions are taken up to the last that stands alone."""
    said = [message for message in messages if message.content.strip()]
    questions = [message.content.strip() for message in said if message.role == "user"]
    if not questions:
        return Asked("", leans=False)
    parts = [questions[-1]]
    for earlier in reversed(questions[-1 - _TURNS : -1]):
        if not leans(parts[0]):
            break
        parts.insert(0, earlier[:_CHARACTERS])
    return Asked(" ".join(parts), leans=len(parts) > 1, turns=_shown(said))


def unusable(query: str, turns: Sequence[Message]) -> str:
    """Why a rewritten question cannot be what the turns ask for; empty where it can."""
    if not query:
        return "REWRITE_EMPTY"
    if len(query) > sum(len(turn.content) for turn in turns) + _MARGIN:
        return "REWRITE_TOO_LONG"
    if not _words(query) & _words(" ".join(turn.content for turn in turns)):
        return "REWRITE_UNRELATED"
    return ""


def _shown(said: Sequence[Message]) -> tuple[Message, ...]:
    turns = [message for message in said if message.role in ("user", "assistant")]
    last = max(index for index, message in enumerate(turns) if message.role == "user")
    return tuple(
        Message(turn.role, turn.content.strip()[:_SHOWN_CHARACTERS])
        for turn in turns[max(0, last + 1 - _SHOWN) : last + 1]
    )


def _words(text: str) -> set[str]:
    return set(terms(text)) | set(_UNSPACED.findall(text))
