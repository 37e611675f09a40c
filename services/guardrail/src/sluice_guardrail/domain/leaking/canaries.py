"""A run's canary in an answer: as it is, split, spelled out, disguised or encoded."""

import base64
import codecs
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sluice_guardrail.domain.leaking.squeezing import (
    Squeezed,
    line_initials,
    skeleton,
    with_signs_as_letters,
    without_item_numbers,
    word_initials,
)
from sluice_guardrail.domain.model import Span
from sluice_guardrail.domain.texts import Text

#: Shorter words appear by chance once everything between letters is gone.
SHORTEST = 8
_BLANK = re.compile(r"\s+")
_NOT_HEX = re.compile(r"0x|\\x|[\W_]+")
#: base64 writes three bytes with four letters: a word within a longer text begins at one of three places in them.
_ALIGNMENTS = 3


@dataclass(frozen=True, slots=True)
class Place:
    """Where a canary is, and by which reading."""

    span: Span
    view: str


class CanarySearch:
    """Looks for a run's canaries. Translated or described it is not found."""

    def __init__(self, canaries: Sequence[str]) -> None:
        self._canaries = [canary for canary in canaries if len(skeleton(canary)) >= SHORTEST]

    def search(self, text: Text) -> Place | None:
        """The first place that any canary is found at, by the plainest reading."""
        return next(self._places(text), None) if self._canaries else None

    def _places(self, text: Text) -> Iterator[Place]:
        for source in _readings(text.text):
            yield from self._squeezed(Squeezed(source))
        yield from self._encoded(text.text)
        for view in text.views[1:]:
            squeezed = Squeezed(view.text)
            for canary in self._canaries:
                at = squeezed.text.find(needle := skeleton(canary))
                if at >= 0:
                    span = squeezed.span(at, at + len(needle))
                    yield Place(view.source(span.start, span.end), view.name)
        yield from self._initials(text.text)

    def _squeezed(self, squeezed: Squeezed) -> Iterator[Place]:
        for canary in self._canaries:
            plain = skeleton(canary)
            needles = {
                "folded": plain,
                "reversed": plain[::-1],
                "rot13": skeleton(codecs.encode(canary.lower(), "rot13")),
            }
            for view, needle in needles.items():
                at = squeezed.text.find(needle)
                if at >= 0:
                    yield Place(squeezed.span(at, at + len(needle)), view)

    def _encoded(self, text: str) -> Iterator[Place]:
        whole = Span(0, len(text))
        joined = _BLANK.sub("", text)
        digits = _NOT_HEX.sub("", text.lower())
        for canary in self._canaries:
            for written in {canary, canary.lower(), canary.upper(), canary.capitalize(), canary[::-1]}:
                for needle in _base64(written):
                    if needle in joined:
                        at = text.find(needle)
                        yield Place(Span(at, at + len(needle)) if at >= 0 else whole, "base64")
                if base64.b32encode(written.encode()).decode().rstrip("=")[:-1] in joined:
                    yield Place(whole, "base32")
                if written.encode().hex() in digits:
                    yield Place(whole, "hex")

    def _initials(self, text: str) -> Iterator[Place]:
        for initials in (word_initials(text), line_initials(text)):
            if any(skeleton(canary) in initials for canary in self._canaries):
                yield Place(Span(0, len(text)), "initials")


def _readings(text: str) -> Iterator[str]:
    """The text, without the numbers of its lists, and with signs for letters."""
    yield text
    for other in (without_item_numbers(text), with_signs_as_letters(text)):
        if other != text:
            yield other


def _base64(word: str) -> Iterator[str]:
    """What base64 makes of a word within a longer text, but for letters that its neighbours take part in."""
    content = word.encode()
    for before in range(_ALIGNMENTS):
        letters = base64.b64encode(b"\0" * before + content).decode().rstrip("=")
        first = -(-before * 4 // 3)
        last = len(letters) - bool((before + len(content)) % 3)
        yield from (letters[first:last], letters[first:last].replace("+", "-").replace("/", "_"))
