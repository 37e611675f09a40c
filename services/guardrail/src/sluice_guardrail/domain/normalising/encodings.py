"""Stretches of a text that are another text, written as numbers of its bytes or characters.

Only compressed ones can give more characters than they take; how many is bounded. A stretch counts as encoded only
where it decodes to readable text; hashes, keys, images and long words do not.
"""

import base64
import binascii
import html
import re
import zlib
from collections.abc import Callable

import re2  # type: ignore[import-untyped]

from sluice_guardrail.domain.normalising.decoder import Budget, Decoder, readable

_VARIATION_SELECTORS = "\ufe00-\ufe0f\U000e0100-\U000e01ef"
#: How gzip and the three usual levels of zlib begin.
_COMPRESSED = (b"\x1f\x8b", b"\x78\x01", b"\x78\x9c", b"\x78\xda")
#: Signs of a long stretch that are decoded first, to see whether it is worth it. Divisible by 4, 5 and 8.
_PROBE = 40
#: What sets base85 apart from paths and names.
_BASE85_SIGNS = re.compile("[!#$%&()*+;<=>?@^{|}~,:\"'\\[\\]]")
_BASE85_SIGNS_AT_LEAST = 4
_ESCAPE = re.compile(
    r"\\(?:u\{([0-9a-fA-F]{1,6})\}|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|x([0-9a-fA-F]{2})|([0-3][0-7]{2})|([nrt\"'/\\]))"
    r"|[uU]\+([0-9a-fA-F]{4,6}) ?"
)
_PLAIN_ESCAPES = {"n": "\n", "r": "\n", "t": "\t"}


def _text(content: bytes, budget: Budget) -> str | None:
    """The text that bytes are, unpacked where they are packed."""
    if not content.startswith(_COMPRESSED):
        return readable(content)
    unpacker = zlib.decompressobj(wbits=47)  # gzip or zlib
    try:
        unpacked = unpacker.decompress(content, max(1, budget.left))
    except zlib.error:
        return None
    if unpacker.unconsumed_tail:
        budget.exhausted = True
        return None
    return readable(unpacked)


def _base64(stretch: str, budget: Budget) -> str | None:
    if stretch.islower():
        return None  # a long word
    letters = "".join(stretch.split()).rstrip("=").translate({ord("-"): "+", ord("_"): "/"})
    if len(letters) % 4 == 1:
        return None
    return _text(base64.b64decode(letters + "=" * (-len(letters) % 4)), budget)


def _base32(stretch: str, budget: Budget) -> str | None:
    letters = stretch.rstrip("=")
    try:
        return _text(base64.b32decode(letters + "=" * (-len(letters) % 8)), budget)
    except binascii.Error:
        return None


def _base85(stretch: str, budget: Budget) -> str | None:
    """As git and RFC 1924 have it."""
    return _of_85(base64.b85decode, stretch, budget)


def _ascii85(stretch: str, budget: Budget) -> str | None:
    """As Adobe writes it, or bare."""
    return _of_85(base64.a85decode, stretch.removeprefix("<~").removesuffix("~>"), budget)


def _of_85(decode: Callable[[bytes], bytes], stretch: str, budget: Budget) -> str | None:
    if len(_BASE85_SIGNS.findall(stretch[:_PROBE])) < _BASE85_SIGNS_AT_LEAST:
        return None
    try:
        probe = decode(stretch[:_PROBE].encode())
        if probe.startswith(_COMPRESSED) or (probe.isascii() and probe.decode().isprintable()):
            return _text(decode(stretch.encode()), budget)
    except ValueError:
        pass
    return None


def _hex(stretch: str, budget: Budget) -> str | None:
    digits = re.sub(r"0x|\\x|[^0-9a-fA-F]", "", stretch)
    return _text(bytes.fromhex(digits), budget) if len(digits) % 2 == 0 else None


def _binary(stretch: str, _: Budget) -> str | None:
    digits = "".join(stretch.split())
    return readable(bytes(int(digits[index : index + 8], 2) for index in range(0, len(digits), 8)))


def _percent(stretch: str, _: Budget) -> str | None:
    try:
        return bytes.fromhex(stretch.replace("%", "")).decode()
    except UnicodeDecodeError:
        return None


def _quoted_printable(stretch: str, _: Budget) -> str | None:
    try:
        return bytes.fromhex(re.sub(r"=\r?\n|=", "", stretch)).decode()
    except UnicodeDecodeError:
        return None


def _entities(stretch: str, _: Budget) -> str:
    return html.unescape(stretch)


def _escapes(stretch: str, _: Budget) -> str:
    # Two halves of a character may stand side by side, as JSON writes them; one alone is none.
    decoded = _ESCAPE.sub(_unescaped, stretch)
    return decoded.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _unescaped(match: re.Match[str]) -> str:
    plain = match[6]
    if plain is not None:
        return _PLAIN_ESCAPES.get(plain, plain)
    if match[5] is not None:
        return chr(int(match[5], 8))
    code = int(next(filter(None, match.groups())), 16)
    return chr(code) if code <= 0x10FFFF else "\ufffd"


def _tags(stretch: str, _: Budget) -> str:
    return "".join(chr(ord(tag) - 0xE0000) for tag in stretch)


def _selectors(stretch: str, _: Budget) -> str | None:
    codes = (ord(selector) for selector in stretch)
    return readable(bytes(code - 0xFE00 if code <= 0xFE0F else code - 0xE0100 + 16 for code in codes))


def _sneaky_bits(stretch: str, budget: Budget) -> str | None:
    bits = stretch.translate({0x2062: "0", 0x2064: "1"})
    return _binary(bits[: len(bits) // 8 * 8], budget)


#: Applied in this order; a later one does not look into what an earlier one has replaced.
ENCODINGS = (
    Decoder("tags", r"[\x{e0020}-\x{e007e}]{4}", re.compile("[\U000e0020-\U000e007e]{4,}"), _tags),
    Decoder(
        "variation-selectors",
        r"[\x{fe00}-\x{fe0f}\x{e0100}-\x{e01ef}]{4}",
        re.compile(f"[{_VARIATION_SELECTORS}]{{4,}}"),
        _selectors,
    ),
    Decoder("sneaky-bits", r"[\x{2062}\x{2064}]{32}", re.compile("[\u2062\u2064]{32,}"), _sneaky_bits),
    Decoder(
        "entities",
        r"&(?:#[0-9xX]|[A-Za-z]{2,31};)",
        re2.compile(r"&(?:#\d{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z]{2,31});"),
        _entities,
    ),
    Decoder("percent", r"%[0-9a-fA-F]{2}", re2.compile(r"(?:%[0-9a-fA-F]{2})+"), _percent),
    Decoder(
        "escapes",
        r"\\[uUx0-3nrt\"'/\\]|[uU]\+[0-9a-fA-F]{4}",
        re.compile(f"(?:{_ESCAPE.pattern})+"),
        _escapes,
    ),
    Decoder(
        "binary",
        "[01]{8}[ \n]?[01]{8}",
        re.compile(r"(?<![01])[01]{8}(?:[ \n]?[01]{8}){3,}(?![01])"),
        _binary,
    ),
    Decoder(
        "hex",
        r"(?:(?:0x|\\x)?[0-9a-fA-F]{2}[ :,\n]?){8}",
        re2.compile(r"(?:0x|\\x)?[0-9a-fA-F]{2}(?:[ :,\n]?(?:0x|\\x)?[0-9a-fA-F]{2}){7,}"),
        _hex,
    ),
    Decoder("base32", "[A-Z2-7]{16}", re2.compile(r"[A-Z2-7]{16,}={0,6}"), _base32),
    Decoder(
        "base64",
        r"[A-Za-z0-9+/_-]{16}\r?\n[A-Za-z0-9+/_-]{2}",
        re2.compile(r"[A-Za-z0-9+/_-]{16,}(?:\r?\n[A-Za-z0-9+/_-]{2,})+={0,2}"),
        _base64,
    ),
    Decoder("base64", "[A-Za-z0-9+/_-]{16}", re2.compile("[A-Za-z0-9+/_-]{16,}={0,2}"), _base64),
    Decoder("ascii85", "<~[!-uz]{20}", re2.compile("<~[!-uz]{20,}~>"), _ascii85),
    Decoder("base85", "[0-9!#-&(-+;-Z^-~-]{20}", re2.compile("[0-9!#-&(-+;-Z^-~-]{20,}"), _base85),
    Decoder("ascii85", "[!-u]{20}", re2.compile("[!-u]{20,}"), _ascii85),
    Decoder(
        "quoted-printable",
        r"=[0-9A-F]{2}(?:=[0-9A-F]{2}|[a-z])|=\r?\n",
        re2.compile(r"(?:=[0-9A-F]{2}|=\r?\n)+"),
        _quoted_printable,
    ),
)
