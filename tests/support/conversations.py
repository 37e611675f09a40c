"""Conversations whose questions are labelled: leaning on earlier turns, or standing alone."""

from dataclasses import dataclass
from pathlib import Path

import yaml

from sluice_gateway.domain.model import Message

_FILE = Path(__file__).parents[1] / "data" / "conversations.yaml"


@dataclass(frozen=True)
class Turn:
    """A question with those before it."""

    language: str
    messages: tuple[Message, ...]
    leans: bool
    held_out: bool
    """No rule was made from it."""


def labelled() -> list[Turn]:
    """Every labelled question, in the order of the file."""
    return [
        Turn(
            language,
            tuple(Message("user", turn["ask"]) for turn in conversation[: place + 1]),
            conversation[place]["leans"],
            held_out=index % 2 == 1,
        )
        for language, conversations in yaml.safe_load(_FILE.read_text(encoding="utf-8")).items()
        for index, conversation in enumerate(conversations)
        for place in range(1, len(conversation))
    ]
