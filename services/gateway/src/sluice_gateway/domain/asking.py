"""What to look for when a question leans on the turns before it. Pure."""

import re
from collections.abc import Sequence

from sluice_gateway.domain.model import Message

#: Openings of a question that goes on from the last one.
_GOES_ON = re.compile(
    r"^\W*(?:and|but|or|so|then|also|what about|how about|what else|why|why not|how come|ok(?:ay)?|more|go on)\b",
    re.I,
)
#: Words that stand for something said before.
_POINTS_BACK = re.compile(
    r"\b(?:it|its|they|them|their|theirs|this|that|these|those|he|she|him|his|her|hers|ones|former|latter)\b",
    re.I,
)
_WORD = re.compile(r"\w+")

#: A longer question says itself what it is about.
_MOST_WORDS = 16
#: A shorter one never does.
_FEWEST_WORDS = 3
#: User turns looked back at, and characters taken of each.
_TURNS, _CHARACTERS = 3, 500


def retrieval_query(messages: Sequence[Message]) -> str:
    """The last question; with the one that it leans on before it, where it leans on one.

    Rules only: a question leans on earlier ones if it is short, and goes on ("And …", "What about …"), points back
    ("it", "that", …) or is hardly a sentence. The earlier turns are taken up to the last that stands alone.
    """
    asked = [
        message.content.strip() for message in messages if message.role == "user" and message.content.strip()
    ]
    if not asked:
        return ""
    parts = [asked[-1]]
    for earlier in reversed(asked[-1 - _TURNS : -1]):
        if not _leans(parts[0]):
            break
        parts.insert(0, earlier[:_CHARACTERS])
    return " ".join(parts)


def _leans(question: str) -> bool:
    words = len(_WORD.findall(question))
    if words > _MOST_WORDS:
        return False
    return words < _FEWEST_WORDS or bool(_GOES_ON.search(question) or _POINTS_BACK.search(question))
