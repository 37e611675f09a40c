"""Stretches of a text that are another text in some encoding.

Every decoder here gives fewer characters than it takes, so nothing grows however often it is applied. A stretch
counts as encoded only where it decodes to readable text; hashes, keys, images and long words do not.
"""

import base64
import binascii
import html
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from sluice_guardrail.domain.model import Span
from sluice_guardrail.domain.normalising.view import Replacement

#: Share of printable characters from which decoded bytes count as text.
_READABLE = 0.9
#: Decoded texts shorter than this say nothing by themselves.
_SHORTEST = 4

_VARIATION_SELECTORS = "\ufe00-\ufe0f\U000e0100-\U000e01ef"


@dataclass(frozen=True, slots=True)
class Decoder:
    """Finds stretches in one encoding."""

    name: str
    pattern: re.Pattern[str]
    decode: Callable[[str], str | None]

    def replacements(self, text: str) -> Iterator[Replacement]:
        """The stretches that decode, in order."""
        for match in self.pattern.finditer(text):
            decoded = self.decode(match[0])
            if decoded is not None:
                yield Replacement(Span(*match.span()), decoded)


def _readable(content: bytes) -> str | None:
    try:
        text = content.decode()
    except UnicodeDecodeError:
        return None
    printable = sum(character.isprintable() or character.isspace() for character in text)
    return text if len(text) >= _SHORTEST and printable >= _READABLE * len(text) else None


def _base64(stretch: str) -> str | None:
    for candidate in (stretch, stretch.split("\n", 1)[0]):
        letters = "".join(candidate.split()).rstrip("=").translate({ord("-"): "+", ord("_"): "/"})
        if len(letters) % 4 == 1:
            continue
        decoded = _readable(base64.b64decode(letters + "=" * (-len(letters) % 4)))
        if decoded is not None:
            return decoded
    return None


def _base32(stretch: str) -> str | None:
    letters = stretch.rstrip("=")
    try:
        return _readable(base64.b32decode(letters + "=" * (-len(letters) % 8)))
    except binascii.Error:
        return None


def _hex(stretch: str) -> str | None:
    digits = re.sub(r"0x|\\x|[^0-9a-fA-F]", "", stretch)
    return _readable(bytes.fromhex(digits)) if len(digits) % 2 == 0 else None


def _binary(stretch: str) -> str | None:
    digits = "".join(stretch.split())
    return _readable(bytes(int(digits[index : index + 8], 2) for index in range(0, len(digits), 8)))


def _percent(stretch: str) -> str | None:
    try:
        return bytes.fromhex(stretch.replace("%", "")).decode()
    except UnicodeDecodeError:
        return None


def _tags(stretch: str) -> str | None:
    return "".join(chr(ord(tag) - 0xE0000) for tag in stretch)


def _selectors(stretch: str) -> str | None:
    codes = (ord(selector) for selector in stretch)
    return _readable(bytes(code - 0xFE00 if code <= 0xFE0F else code - 0xE0100 + 16 for code in codes))


def _sneaky_bits(stretch: str) -> str | None:
    bits = stretch.translate({0x2062: "0", 0x2064: "1"})
    return _binary(bits[: len(bits) // 8 * 8])


#: Applied in this order; a later one does not look into what an earlier one has replaced.
DECODERS = (
    Decoder("tags", re.compile("[\U000e0020-\U000e007e]{4,}"), _tags),
    Decoder("variation-selectors", re.compile(f"[{_VARIATION_SELECTORS}]{{4,}}"), _selectors),
    Decoder("sneaky-bits", re.compile("[\u2062\u2064]{32,}"), _sneaky_bits),
    Decoder("entities", re.compile(r"&(?:#\d{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z]{2,31});"), html.unescape),
    Decoder("percent", re.compile(r"(?:%[0-9a-fA-F]{2})+"), _percent),
    Decoder("binary", re.compile(r"(?<![01])(?:[01]{8}[ \n]?){4,}(?![01])"), _binary),
    Decoder("hex", re.compile(r"(?:(?:0x|\\x)?[0-9a-fA-F]{2}[ :,\n]?){8,}"), _hex),
    Decoder("base32", re.compile(r"[A-Z2-7]{16,}={0,6}"), _base32),
    Decoder(
        "base64",
        re.compile(r"[A-Za-z0-9+/_-]{16,}(?:\r?\n[A-Za-z0-9+/_-]{2,})*={0,2}"),
        _base64,
    ),
)
