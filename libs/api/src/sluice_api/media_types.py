"""The kinds of files that a knowledge base takes, and what a file's name says of its kind."""

from enum import StrEnum
from pathlib import PurePosixPath


class MediaType(StrEnum):
    """How a document is written."""

    PLAIN = "text/plain"
    MARKDOWN = "text/markdown"
    HTML = "text/html"
    PDF = "application/pdf"
    DOCX = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
    CSV = "text/csv"
    TSV = "text/tab-separated-values"


#: The largest file that is taken as a document.
MAX_CONTENT_BYTES = 32 << 20

#: Gzip may be around any of them.
GZIP_SUFFIX = ".gz"

BY_SUFFIX = {
    ".txt": MediaType.PLAIN,
    ".text": MediaType.PLAIN,
    ".rst": MediaType.PLAIN,
    ".adoc": MediaType.PLAIN,
    ".md": MediaType.MARKDOWN,
    ".markdown": MediaType.MARKDOWN,
    ".html": MediaType.HTML,
    ".htm": MediaType.HTML,
    ".xhtml": MediaType.HTML,
    ".pdf": MediaType.PDF,
    ".docx": MediaType.DOCX,
    ".csv": MediaType.CSV,
    ".tsv": MediaType.TSV,
}

#: Files that are text by custom, though their names have no suffix. In capitals, as compared.
_TEXT_NAMES = frozenset(
    {"README", "NEWS", "CHANGELOG", "CHANGES", "COPYRIGHT", "COPYING", "LICENSE", "AUTHORS", "TODO", "FAQ"}
    | {"INSTALL", "HACKING", "CONTRIBUTING", "THANKS", "BUGS"}
)


def media_type_of(name: str) -> MediaType | None:
    """The kind that a file's name tells, or None. `notes.txt.gz` is text."""
    path = PurePosixPath(name)
    if path.suffix.lower() == GZIP_SUFFIX:
        path = path.with_suffix("")
    known = BY_SUFFIX.get(path.suffix.lower())
    if known is None and path.name.upper().split(".")[0] in _TEXT_NAMES:
        return MediaType.PLAIN
    return known
