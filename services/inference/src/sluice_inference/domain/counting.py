"""How many tokens a text has: by a model's tokenizer, or by its characters. Pure."""

import json
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sluice_inference.domain.model import Message
from sluice_inference.domain.tools import Tools

#: Tokens of a text, never fewer than there are as far as can be told.
Counter = Callable[[str], int]

#: What chat templates put around a message, and around a conversation; ChatML takes 5 and 3.
_MESSAGE, _CONVERSATION = 8, 8
#: What they put before tools, and around each.
_TOOLS, _TOOL = 192, 16

#: Characters of a token, fewer than tokenizers of language models make of most texts: of English and code, of words
#: with accents among them, of digits, of what is no word (keys, base64), of alphabets that are written with blanks,
#: of scripts without.
_ENGLISH, _ACCENTED, _DIGITS, _DENSE, _ALPHABETS, _SYLLABLES = 3.0, 2.1, 0.75, 1.1, 1.3, 0.75
_ASCII = re.compile(r"[\x00-\x7f]+")
_LATIN = re.compile("[\u0080-\u024f\u1e00-\u1eff]+")
#: Greek, Cyrillic, Armenian, Hebrew, Arabic.
_SPACED = re.compile("[\u0370-\u06ff]+")
_LONG = re.compile(r"[!-~]{32,}")

#: The share of letters with accents from which a text is no English.
_NOT_ENGLISH = 0.003


def bytes_of(text: str) -> int:
    """The most tokens that a text can have: none stands for less than a byte."""
    return len(text.encode(errors="replace"))


def estimate(text: str) -> float:
    """About how many tokens a text has, rather too many."""
    ascii_only = text if text.isascii() else "".join(_ASCII.findall(text))
    digits = sum(map(ascii_only.count, "0123456789"))
    dense = sum(map(len, _LONG.findall(ascii_only)))
    letters = max(0, len(ascii_only) - digits - dense)
    tokens = digits / _DIGITS + dense / _DENSE
    if len(ascii_only) == len(text):
        return tokens + letters / _ENGLISH
    rest = _ASCII.sub("", text)
    unaccented = _LATIN.sub("", rest)
    accents = len(rest) - len(unaccented)
    others = _SPACED.sub("", unaccented)
    wide = 2 * sum(character > "\uffff" for character in others)  # an emoji takes up to four
    tokens += (len(unaccented) - len(others)) / _ALPHABETS + (len(others) + wide) / _SYLLABLES
    is_english = accents < _NOT_ENGLISH * len(text)
    return tokens + letters / (_ENGLISH if is_english else _ACCENTED) + accents


@dataclass(frozen=True, slots=True)
class Ratio:
    """What a model's tokens are to an estimate, learned from what its server has counted."""

    mean: float = 1.0
    deviation: float = 0.1
    """Mean, absolute."""
    seen: int = 0

    @property
    def bound(self) -> float:
        """What few prompts exceed; within limits, whatever a server says."""
        return min(2.5, max(0.5, self.mean + 2 * self.deviation))

    def learned(self, counted: int, estimated: float) -> "Ratio":
        """With another prompt; unchanged by those that say nothing."""
        if counted < 32 or estimated < 32:
            return self
        ratio = min(4.0, max(0.25, counted / estimated))
        if not self.seen:
            return Ratio(ratio, 0.1 * ratio, 1)
        error = ratio - self.mean
        weight = max(0.1, 1 / (self.seen + 1))
        deviation = self.deviation + weight * (abs(error) - self.deviation)
        return Ratio(self.mean + weight * error, deviation, self.seen + 1)


def estimated(ratio: float) -> Counter:
    """Counts by characters.

    Args:
        ratio: Tokens to an estimate.
    """
    return lambda text: math.ceil(estimate(text) * ratio)


def of_messages(messages: Sequence[Message], count: Counter) -> int:
    """The tokens of messages, with what a chat template puts around each."""
    return sum(_of_message(message, count) for message in messages)


def of_conversation(messages: Sequence[Message], tools: Tools, count: Counter) -> int:
    """The tokens of a whole prompt."""
    return of_messages(messages, count) + around(tools, count)


def around(tools: Tools, count: Counter) -> int:
    """The tokens of a prompt besides its messages."""
    if not tools.functions:
        return _CONVERSATION
    described = (
        json.dumps([tool.name, tool.description, tool.parameters], ensure_ascii=False)
        for tool in tools.functions
    )
    return _CONVERSATION + _TOOLS + sum(_TOOL + count(text) for text in described)


def _of_message(message: Message, count: Counter) -> int:
    calls = sum(_TOOL + count(call.name + call.arguments) for call in message.tool_calls)
    return _MESSAGE + count(message.content) + calls
