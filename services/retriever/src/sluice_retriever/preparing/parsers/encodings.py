"""Bytes into text, whatever their encoding."""

import codecs

import charset_normalizer

from sluice_retriever.preparing.parsers.parsed import Unparsable

# The longer mark first: UTF-32's begins with UTF-16's.
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)

#: Bytes that the detection looks at: it tries some hundred encodings.
_SAMPLE = 64 << 10
#: Share of control characters from which it is no text, whatever decodes it.
_MOST_CONTROLS = 0.05


def decode(content: bytes) -> str:
    """The text: by its mark, as UTF-8, else by what charset-normalizer detects.

    Raises:
        Unparsable: it is no text.
    """
    text = _decoded(content)
    controls = sum(text.count(chr(code)) for code in range(32) if chr(code) not in "\t\n\r\f\x1b")
    if controls > _MOST_CONTROLS * len(text):
        raise Unparsable("not text: most of it is control characters")
    return text.replace("\x00", "")


def _decoded(content: bytes) -> str:
    for mark, encoding in _MARKS:
        if content.startswith(mark):
            try:
                return content.decode(encoding)
            except UnicodeDecodeError as error:
                raise Unparsable(f"not {encoding}, as its first bytes say: byte {error.start}") from error
    if b"\x00" in content:
        return _without_mark(content)
    try:
        return content.decode()
    except UnicodeDecodeError:
        return _detected(content)


def _without_mark(content: bytes) -> str:
    """UTF-16 without a mark: of Latin text every other byte is zero."""
    for encoding, zeros in (("utf-16-le", content[1::2]), ("utf-16-be", content[::2])):
        if len(content) % 2 == 0 and zeros.count(0) > 0.7 * len(zeros):
            try:
                return content.decode(encoding)
            except UnicodeDecodeError:
                continue
    raise Unparsable("not text: it holds zero bytes")


def _detected(content: bytes) -> str:
    found = charset_normalizer.from_bytes(content[:_SAMPLE])
    if not found:
        raise Unparsable("not text in any encoding that can be recognised")
    # Where several fit equally well, the most common one: else French comes out as Central European.
    best = min(found, key=lambda match: (match.chaos, -match.coherence, match.encoding != "cp1252"))
    # A few bytes that the sample did not show must not lose the document.
    return content.decode(best.encoding, errors="replace")
