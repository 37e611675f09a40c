"""All views of a text that rules search: as written, decoded, and with lookalike words made plain."""

from collections.abc import Callable, Iterable, Iterator

from sluice_guardrail.domain.model import Span
from sluice_guardrail.domain.normalising import lookalikes
from sluice_guardrail.domain.normalising.decoding import DECODERS
from sluice_guardrail.domain.normalising.view import Reading, Replacement, View

FOLDED = "folded"
ROT13 = "rot13"
REVERSED = "reversed"

#: An encoded text may hold another one; deeper nesting is not followed.
_DEPTH = 2

_LETTERS = "abcdefghijklmnopqrstuvwxyz"
_ROTATED = _LETTERS[13:] + _LETTERS[:13]
_ROT13 = str.maketrans(_LETTERS + _LETTERS.upper(), _ROTATED + _ROTATED.upper())

_LOOKALIKES: tuple[tuple[str, Callable[[str], Iterable[Replacement]]], ...] = (
    ("confusables", lookalikes.confusables),
    ("leet", lookalikes.leet),
    ("despaced", lookalikes.despaced),
)


def views(text: str) -> Iterator[View]:
    """Eight views at most, the plainest first. All of them together take time linear in the text."""
    original = Reading.original(text)
    for name, reading in _decoded(original):
        yield View(name, reading)
        plain_name, plain = _plain(reading)
        if plain_name:
            yield View(plain_name if name == FOLDED else f"{name}+{plain_name}", plain)
    yield View(ROT13, Reading(text.translate(_ROT13), original.pieces))
    yield View(REVERSED, original.replaced([Replacement(Span(0, len(text)), text[::-1])]))


def _decoded(reading: Reading) -> Iterator[tuple[str, Reading]]:
    """The text itself, then the text with its encoded stretches decoded, layer by layer."""
    yield FOLDED, reading
    names: list[str] = []
    for _ in range(_DEPTH):
        layer: list[str] = []
        for decoder in DECODERS:
            found = list(decoder.replacements(reading.text))
            if found:
                reading = reading.replaced(found)
                layer.append(decoder.name)
        if not layer:
            return
        names += layer
        yield "+".join(names), reading


def _plain(reading: Reading) -> tuple[str, Reading]:
    """The reading with all lookalike words made plain, and the names of what was done; empty where nothing was."""
    names: list[str] = []
    for name, find in _LOOKALIKES:
        found = list(find(reading.text))
        if found:
            reading = reading.replaced(found)
            names.append(name)
    return "+".join(names), reading
