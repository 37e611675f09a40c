"""All views of a text that rules search: as written, decoded, put together, and with lookalike words made plain."""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

import re2  # type: ignore[import-untyped]

from sluice_guardrail.domain.normalising import layouts, lookalikes, misspellings
from sluice_guardrail.domain.normalising.alphabets import ALPHABETS
from sluice_guardrail.domain.normalising.ciphers import deciphered
from sluice_guardrail.domain.normalising.decoder import Budget, Decoder
from sluice_guardrail.domain.normalising.encodings import ENCODINGS
from sluice_guardrail.domain.normalising.view import Reading, Replacement, View

#: Changes whenever a text may have other views.
VERSION = "2"

FOLDED = "folded"
#: An encoded text may hold another one; deeper nesting is not followed.
DEPTH = 3

_DECODERS: tuple[Decoder, ...] = (*ENCODINGS, *ALPHABETS)


@dataclass(frozen=True, slots=True)
class _Plain:
    """Makes words of one kind plain."""

    name: str
    hint: str
    """RE2: what a text must hold for it to find anything."""
    find: Callable[[str, Budget], Iterable[Replacement]]


def _bounded(find: Callable[[str], Iterable[Replacement]]) -> Callable[[str, Budget], Iterable[Replacement]]:
    """Of what never gives more than it takes."""
    return lambda text, _: find(text)


_GAP = r"[ \t\n.\-_*|/\x{b7},~+]{1,3}"
_LETTER = r"[A-Za-z\x{80}-\x{10ffff}]"
_SIGN = r"[0134579@$!|\x{20ac}+]"

#: In this order, each upon the one before.
_PLAIN = (
    _Plain("bidi", r"\x{202e}", layouts.as_shown),
    _Plain(
        "markup",
        r"<!--|</?[A-Za-z]|[0-9A-Za-z\x{80}-\x{10ffff}][*`_~]{1,3}[0-9A-Za-z\x{80}-\x{10ffff}]",
        layouts.without_markup,
    ),
    _Plain("line-ends", r"-\r?\n", layouts.line_ends),
    _Plain("variables", r"(?:=|:|is )\s{0,3}[\"'`]", layouts.variables),
    _Plain("strings", r"[\"'][ \t\n]{0,8}[+.&|~]{0,2}[ \t\n]{0,8}[\"']", layouts.strings),
    _Plain("columns", r"\|[ \t]*\r?\n[ \t]*\|", layouts.columns),
    _Plain("confusables", r"[\x{80}-\x{10ffff}]", _bounded(lookalikes.confusables)),
    _Plain(
        "leet",
        rf"[A-Za-z]{_SIGN}{{1,3}}[A-Za-z]|(?:^|[^0-9A-Za-z]){_SIGN}{{1,3}}[A-Za-z]{{2}}|[A-Za-z]{{3}}{_SIGN}(?:[^0-9A-Za-z]|$)",
        _bounded(lookalikes.leet),
    ),
    _Plain("despaced", f"{_LETTER}(?:{_GAP}{_LETTER}){{3}}(?:[^0-9A-Za-z]|$)", _bounded(lookalikes.despaced)),
    _Plain("misspelt", "[A-Za-z]{5}", _bounded(misspellings.misspelt)),
)
_HALF = re.compile("[\ud800-\udfff]")
_HINTS = (*(each.hint for each in _DECODERS), *(each.hint for each in _PLAIN))
_COUNT = re.compile(r"(?<!x)\{(\d+)")
_FAR = 8
_TOGETHER = [
    index for index, hint in enumerate(_HINTS) if all(int(count) < _FAR for count in _COUNT.findall(hint))
]


#: Of those, the ones that leave nearly all words as they were.
_REARRANGING = frozenset({"markup", "line-ends", "strings", "columns", "misspelt"})


def is_rearranged(name: str) -> bool:
    """True of a view of that name which shows the text's own words, otherwise laid out or with slips mended."""
    return _REARRANGING.issuperset(name.split("+"))


def views(text: str, budget: Budget | None = None) -> Iterator[View]:
    """The plainest first. All of them together take time linear in the text.

    Args:
        budget: Says afterwards whether something was left out, since it would have decoded to too much.
    """
    budget = budget or Budget.of(text)
    text = _writable(text)
    for names, reading, hints in _decoded(Reading.original(text), budget):
        view = View("+".join(names) or FOLDED, reading)
        yield view
        plain_names, plain = _plain(reading, hints, budget)
        plain_view = View("+".join((*names, *plain_names)), plain)
        if plain_names:
            yield plain_view
        for name, other in deciphered(reading, view.text):
            yield View("+".join((*names, name)), other)


def _decoded(reading: Reading, budget: Budget) -> Iterator[tuple[tuple[str, ...], Reading, frozenset[int]]]:
    """The text itself, then the text with its encoded stretches decoded, layer by layer; each with its hints."""
    names: list[str] = []
    for depth in range(DEPTH + 1):
        hints = _hints(reading.text)
        yield tuple(names), reading, hints
        if depth == DEPTH:
            return
        layer: list[str] = []
        for index in sorted(hints):
            found = (
                list(_DECODERS[index].replacements(reading.text, budget)) if index < len(_DECODERS) else []
            )
            if found:
                reading = reading.replaced(found)
                layer.append(_DECODERS[index].name)
        if not layer:
            return
        names += layer


def _plain(reading: Reading, hints: frozenset[int], budget: Budget) -> tuple[list[str], Reading]:
    """The reading with all words made plain, and the names of what was done; none where nothing was."""
    names: list[str] = []
    for index, plain in enumerate(_PLAIN, start=len(_DECODERS)):
        found = list(plain.find(reading.text, budget)) if index in hints else []
        if found:
            reading = reading.replaced(found)
            names.append(plain.name)
            hints = _hints(reading.text)  # what one has made plain may be a hint for the next
    return names, reading


def _hints(text: str) -> frozenset[int]:
    """Which decoders, and then which of `_PLAIN`, may find something."""
    together, alone = _hint_searches()
    found = [_TOGETHER[index] for index in together.Match(text) or ()]
    return frozenset((*found, *(index for index, search in alone if search.search(text))))


@cache
def _hint_searches() -> tuple[Any, list[tuple[int, Any]]]:
    """One search for most hints, and one each for those that count far: together their states multiply."""
    together = re2.Set.SearchSet(re2.Options())
    for index in _TOGETHER:
        together.Add(_HINTS[index])
    together.Compile()
    return together, [
        (index, re2.compile(hint)) for index, hint in enumerate(_HINTS) if index not in _TOGETHER
    ]


def _writable(text: str) -> str:
    """The text without halves of characters, which no encoding of text can hold; as long as before."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return _HALF.sub("\ufffd", text)
    return text
