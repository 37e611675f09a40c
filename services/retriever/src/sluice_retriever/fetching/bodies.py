"""What a server sent, as a document's content: unpacked, and in UTF-8 where its encoding was said."""

import codecs
from email.message import Message
from encodings.aliases import aliases

from yarl import URL

from sluice_api.media_types import MAX_CONTENT_BYTES, MediaType, media_type_of
from sluice_retriever.preparing.parsers.compressed import gunzip
from sluice_retriever.preparing.parsers.parsed import Unparsable
from sluice_servicekit.fetching.failures import FetchFailed

#: What servers say that do not know; the first bytes and the name tell more.
_UNKNOWN = frozenset(
    {"", "application/octet-stream", "binary/octet-stream", "application/gzip", "application/x-gzip"}
)
_ALIASES = {
    "application/xhtml+xml": MediaType.HTML,
    "text/x-markdown": MediaType.MARKDOWN,
    "application/csv": MediaType.CSV,
}
_MARKS = (codecs.BOM_UTF8, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_CODECS = frozenset(aliases.values())
#: Browsers read these as their superset, and pages are written for browsers.
_SUPERSETS = {"ascii": "cp1252", "latin_1": "cp1252", "iso8859-1": "cp1252"}


def media_type(content_type: str, url: URL) -> str:
    """What a document is written in; empty where neither header nor path says so.

    Plain text is what servers say of every file that a person can read, so the path's suffix goes before it.
    """
    said = content_type.partition(";")[0].strip().lower()
    named = media_type_of(url.path) or ""
    if said in _UNKNOWN or (
        said == MediaType.PLAIN and named in (MediaType.MARKDOWN, MediaType.CSV, MediaType.TSV)
    ):
        return named
    return _ALIASES.get(said, said)


def content(body: bytes, encoding: str, content_type: str) -> bytes:
    """The content of a body.

    Args:
        body: As it came.
        encoding: The header `Content-Encoding`.
        content_type: The header `Content-Type`.

    Raises:
        FetchFailed: it is packed in a way that was not asked for, damaged, too large or empty.
    """
    match encoding.strip().lower():
        case "" | "identity":
            pass
        case "gzip" | "x-gzip":
            try:
                body = gunzip(body)
            except Unparsable as error:
                raise FetchFailed(str(error)) from error
        case other:
            raise FetchFailed(f"the server packs in {other!r}, which was not asked for")
    if len(body) > MAX_CONTENT_BYTES:
        raise too_large()
    if not body:
        raise FetchFailed("the server sent nothing")
    return _in_utf8(body, content_type)


def too_large() -> FetchFailed:
    """The failure of a body beyond the largest document."""
    return FetchFailed(f"larger than {MAX_CONTENT_BYTES >> 20} MiB")


def _in_utf8(body: bytes, content_type: str) -> bytes:
    """Text in the encoding that the header names, written as UTF-8 with a mark, which every parser reads first."""
    header = Message()
    header["content-type"] = content_type
    charset = header.get_content_charset("")
    if header.get_content_maintype() != "text" or not charset or body.startswith(_MARKS):
        return body
    try:
        name = codecs.lookup(charset).name
        name = _SUPERSETS.get(name, name)
        if name.replace("-", "_") not in _CODECS:
            return body
        return codecs.BOM_UTF8 + body.decode(name).encode()
    except (LookupError, ValueError):
        return body  # the header is wrong; the parser finds out
