"""One spelling for what looks the same: width, case, accents, invisible characters and white space.

The fold of a text is the fold of its code points, joined, with each run of white space cut to one space, or one
newline where the run holds one. That makes it linear and idempotent, and lets every place in the fold be led back
to the code point it came from.
"""

import itertools
import re
import unicodedata
from array import array
from bisect import bisect_right
from collections.abc import Iterator
from functools import cache

#: A code point whose fold would be longer stays as it is, so that no text grows beyond this factor.
MAX_GROWTH = 4

#: Where characters that fold lie; between are Han and Hangul, above only unassigned and private ones.
_FOLDED_RANGES = (range(0x3400), range(0xA000, 0xAC00), range(0xD7A4, 0x20000), range(0x2F800, 0x2FA20))
#: Han and Hangul, and what lies below them.
_UNFOLDED_RANGES = (range(0x4E00, 0xA000), range(0xAC00, 0xD7A4))
_COMMON = 0x3400
#: Tags and variation selectors of plane 14; invisible.
_PLANE_14 = range(0xE0000, 0xE0200)

#: Letters that Unicode gives no decomposition, or one with brackets: squared, circled and parenthesised letters,
#: regional indicators, small capitals.
_LETTER_BLOCKS = (0x249C, 0x1F110, 0x1F130, 0x1F150, 0x1F170, 0x1F1E6)
_SMALL_CAPITALS = str.maketrans("ᴀʙᴄᴅᴇꜰɢʜɪᴊᴋʟᴍɴᴏᴘʀꜱᴛᴜᴠᴡʏᴢ", "abcdefghijklmnoprstuvwyz")

#: Combining marks that only decorate a letter. Marks that make another letter, as in kana and the Indic
#: scripts, are not among them.
_DECORATIONS = re.compile(
    "[\u0300-\u036f\u0483-\u0489\u0591-\u05c7\u0610-\u061a\u064b-\u065f\u0670\u06d6-\u06ed"
    "\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f]"
)
_INVISIBLE_LETTERS = frozenset(
    "\u00ad\u034f\u0640\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u2800\u3164\uffa0"
)
_ASCII_CONTROLS = re.compile("[\x00-\x08\x0e-\x1b\x7f]")
_ASCII_GAPS = re.compile("[\t\x0b-\r\x1c-\x1f]")
_SURROGATES = range(0xD800, 0xE000)
#: Where a text may be cut, and how far apart at least.
_CUT = re.compile("[0-9A-Za-z]")
_STRETCH = 1_000
_SPACES = re.compile(" {2,}")
_LINE_ENDS = re.compile(" ?\n[ \n]*")
_NEWLINES = frozenset("\n\r\v\f\x1c\x1d\x1e\x85\u2028\u2029")


def fold(text: str) -> str:
    """The fold of a text."""
    folded = _ascii(text) if text.isascii() else text.translate(_table())
    if "  " in folded:
        folded = _SPACES.sub(" ", folded)
    return _LINE_ENDS.sub("\n", folded) if "\n" in folded else folded


def _ascii(text: str) -> str:
    """What `translate` would give, some ten times as fast."""
    if _ASCII_CONTROLS.search(text):
        text = _ASCII_CONTROLS.sub("", text)
    if _ASCII_GAPS.search(text):
        text = _ASCII_GAPS.sub(lambda gap: "\n" if gap[0] in _NEWLINES else " ", text)
    return text.lower()


def sources(text: str) -> "array[int]":
    """For every code point of `fold(text)` the index in `text` that it came from, then the text's length."""
    table = _table()
    indices = array("q")
    after_space = False
    for index, character in enumerate(text):
        for folded in table.get(ord(character), character):
            if folded in " \n" and after_space:
                continue
            after_space = folded in " \n"
            indices.append(index)
    indices.append(len(text))
    return indices


class Places:
    """Leads places in the fold of a text back to the text, as `sources` does; works out only what is asked for.

    Runs of white space apart, the fold of a text is that of its parts: it is cut before letters.
    """

    def __init__(self, text: str) -> None:
        self._text = text
        self._cuts, self._starts = [0], [0]
        while cut := _CUT.search(text, self._cuts[-1] + _STRETCH):
            folded = fold(text[self._cuts[-1] : cut.start()])
            self._starts.append(self._starts[-1] + len(folded))
            self._cuts.append(cut.start())
        self._known: dict[int, array[int]] = {}

    def source(self, place: int) -> int:
        """The index in the text that the code point at a place of its fold came from."""
        stretch = bisect_right(self._starts, place) - 1
        cut = self._cuts[stretch]
        indices = self._known.get(stretch)
        if indices is None:
            end = self._cuts[stretch + 1] if stretch + 1 < len(self._cuts) else len(self._text)
            indices = self._known[stretch] = sources(self._text[cut:end])
        return cut + indices[min(place - self._starts[stretch], len(indices) - 1)]


@cache
def _table() -> dict[int, str]:
    """What `str.translate` needs. Code points that fold to themselves are absent, save where texts have many of
    them: an absent one costs an exception."""
    table = {code: chr(ord("a") + offset) for block in _LETTER_BLOCKS for offset, code in _letters(block)}
    for code in itertools.chain(*_FOLDED_RANGES, _PLANE_14):
        if code not in table and ((folded := _folded(chr(code))) != chr(code) or code < _COMMON):
            table[code] = folded
    table.update((code, chr(code)) for code in itertools.chain(*_UNFOLDED_RANGES))
    return table


def _letters(block: int) -> Iterator[tuple[int, int]]:
    return ((offset, block + offset) for offset in range(26))


def _folded(character: str) -> str:
    if ord(character) in _SURROGATES:
        return "\ufffd"  # half of a character; no encoding of text can hold it
    if _is_invisible(character):
        return ""
    if character.isspace():
        return "\n" if character in _NEWLINES else " "
    current = character
    # Case folding may bring out what another round decomposes; three rounds settle every code point.
    for _ in range(3):
        plain = _DECORATIONS.sub("", unicodedata.normalize("NFKD", current)).casefold()
        plain = "".join(" " if part.isspace() else part for part in plain if not _is_invisible(part))
        # Kana and Hangul are put together again: their parts are other letters.
        following = unicodedata.normalize("NFC", plain).translate(_SMALL_CAPITALS)
        if following == current:
            break
        current = following
    return current if len(current) <= MAX_GROWTH else character


def _is_invisible(character: str) -> bool:
    """Formats, controls, variation selectors, tags and unassigned selectors; never white space."""
    if character.isspace():
        return False
    code = ord(character)
    return (
        unicodedata.category(character) in ("Cf", "Cc")
        or 0xFE00 <= code <= 0xFE0F
        or code in _PLANE_14
        or character in _INVISIBLE_LETTERS
        or _DECORATIONS.match(character) is not None
    )
