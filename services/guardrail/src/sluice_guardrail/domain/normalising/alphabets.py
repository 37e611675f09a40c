"""Stretches of a text that spell another text letter by letter: Morse, Braille, the alphabet of radio."""

import re

from sluice_guardrail.domain.normalising.decoder import Budget, Decoder
from sluice_guardrail.domain.normalising.vocabulary import spelled

_LETTERS = "abcdefghijklmnopqrstuvwxyz"
_MORSE = dict(
    zip(
        ".- -... -.-. -.. . ..-. --. .... .. .--- -.- .-.. -- -. --- .--. --.- .-. ... - ..- ...- .-- -..- -.-- "
        "--.. ----- .---- ..--- ...-- ....- ..... -.... --... ---.. ----.".split(),
        _LETTERS + "0123456789",
        strict=True,
    )
)
_MORSE_SIGNS = str.maketrans("·•∙_–—−", "...----")
_MORSE_WORDS = re.compile(r"\s*[/|\n]\s*| {2,}")
_BRAILLE = {
    ord(cell): letter for cell, letter in zip("⠁⠃⠉⠙⠑⠋⠛⠓⠊⠚⠅⠇⠍⠝⠕⠏⠟⠗⠎⠞⠥⠧⠺⠭⠽⠵", _LETTERS, strict=True)
} | {0x2800: " ", 0x2820: "", 0x283C: ""}  # a gap; what marks capitals and numbers
_RADIO = (
    "alfa alpha bravo charlie delta echo foxtrot golf hotel india juliett juliet kilo lima mike november oscar "
    "papa quebec romeo sierra tango uniform victor whiskey whisky x-ray xray yankee zulu"
).split()
_RADIO_WORD = f"(?:{'|'.join(_RADIO)})"
_RADIO_GAP = re.compile(r"[^A-Za-z-]+")


def _morse(stretch: str, _: Budget) -> str | None:
    signs = stretch.translate(_MORSE_SIGNS).strip()
    if "." not in signs or "-" not in signs:
        return None  # the rule below a table's head
    words = _MORSE_WORDS.split(signs)
    letters = ["".join(_MORSE.get(sign, "") for sign in word.split()) for word in words]
    return spelled(" ".join(filter(None, letters))) or None


def _braille(stretch: str, _: Budget) -> str:
    return spelled(stretch.translate(_BRAILLE))


def _radio(stretch: str, _: Budget) -> str:
    """The first letter of each word; a gap of more than one blank ends one."""
    parts = _RADIO_GAP.split(stretch.lower())
    gaps = [" " if len(gap) > 1 or gap == "\n" else "" for gap in _RADIO_GAP.findall(stretch)]
    letters = "".join(part[:1] + gap for part, gap in zip(parts, [*gaps, ""], strict=False))
    return spelled(letters) + stretch[len(stretch.rstrip()) :]


ALPHABETS = (
    Decoder(
        "morse",
        r"(?:[.\-·•∙_–—−]{1,6}[ /|\n]{1,3}){6}",
        re.compile(r"(?<!\S)(?:[.\-·•∙_–—−]{1,6}[ /|\n]{1,3}){5,}[.\-·•∙_–—−]{1,6}"),
        _morse,
    ),
    Decoder(
        "braille",
        r"[\x{2801}-\x{28ff}][\x{2800}-\x{28ff} ]{5}",
        re.compile("[\u2800-\u28ff][\u2800-\u28ff ]{5,}"),
        _braille,
    ),
    Decoder(
        "radio",
        rf"(?i){_RADIO_WORD}[^A-Za-z]{{1,3}}{_RADIO_WORD}[^A-Za-z]{{1,3}}{_RADIO_WORD}",
        re.compile(rf"\b{_RADIO_WORD}(?:[^A-Za-z]{{1,3}}{_RADIO_WORD}){{3,}}\b", re.IGNORECASE),
        _radio,
    ),
)
