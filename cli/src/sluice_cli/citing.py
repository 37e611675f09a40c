"""The sources of an answer: where each can be opened, and the list under the text. Pure but for `target`."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from rich.style import Style
from rich.text import Text

Json = dict[str, Any]

_HEAD = "\n\nSources:\n"
_ENTRY = re.compile(r"\[(\d+)\] .+")
_ENTRY_BEGUN = re.compile(r"(\[(\d+(\]( .*)?)?)?)?")


def target(citation: Json, folder: Path) -> str | None:
    """Where a cited document can be opened: at its `metadata.source_uri` or `url`, or as the file that its id names."""
    metadata = citation.get("metadata") or {}
    for uri in (metadata.get("source_uri"), metadata.get("url")):
        if isinstance(uri, str) and _opens(uri):
            # Nothing of a document's own words may end the terminal's link sequence.
            return quote(uri, safe="%/:=&?~#+!$,;'@()*[]", errors="replace")
    try:
        file = folder / citation["document_id"]
        return file.absolute().as_uri() if file.is_file() else None
    except (OSError, ValueError):  # an id that cannot be a path
        return None


def sources_list(citations: Sequence[Json], folder: Path) -> Text:
    """The sources, one a line, each a link where it can be opened. Terminals show links, files and pipes only text."""
    text = Text("Sources:")
    for citation in citations:
        uri = target(citation, folder)
        text.append(f"\n[{citation['number']}] ")
        text.append(_name(citation), Style(link=uri) if uri else None)
    return text


class SourcesHeld:
    """Lets a streamed text through, but for the list of sources at its end, which the terminal shows with links.

    Marks within the text stay plain: which document a mark means is only known at the end, after it was printed.
    """

    def __init__(self) -> None:
        self._held = ""

    def feed(self, piece: str) -> str:
        """What may be printed now; a text that may yet become the list is held back."""
        text = self._held + piece
        start = next((i for i, c in enumerate(text) if c == "\n" and _may_be_list(text[i:])), len(text))
        self._held = text[start:]
        return text[:start]

    def end(self, citations: Sequence[Json]) -> str:
        """What was held back, unless it is the list of these citations."""
        entries = [_ENTRY.fullmatch(line) for line in self._held.removeprefix(_HEAD).split("\n")]
        numbers = [int(entry[1]) for entry in entries if entry]
        is_list = bool(citations) and numbers == [citation["number"] for citation in citations]
        return "" if is_list else self._held


def _may_be_list(text: str) -> bool:
    if len(text) < len(_HEAD):
        return _HEAD.startswith(text)
    *entries, last = text.removeprefix(_HEAD).split("\n")
    return (
        text.startswith(_HEAD)
        and all(_ENTRY.fullmatch(entry) for entry in entries)
        and _ENTRY_BEGUN.fullmatch(last) is not None
    )


def _opens(uri: str) -> bool:
    try:
        parts = urlsplit(uri)
    except ValueError:
        return False
    return bool(parts.netloc) if parts.scheme in ("http", "https") else parts.scheme == "file"


def _name(citation: Json) -> str:
    title, document_id = (" ".join(citation[name].split()) for name in ("title", "document_id"))
    return document_id if title in ("", document_id) else f"{title} ({document_id})"
