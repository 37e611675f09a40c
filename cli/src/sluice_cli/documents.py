"""Files on disk as documents: Markdown, text and JSON lines. What cannot be read is named, not raised."""

import json
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sluice_cli.errors import usage

_MEDIA_TYPES = {
    ".md": "text/markdown",
    ".markdown": "text/markdown",
    ".txt": "text/plain",
    ".text": "text/plain",
    ".rst": "text/plain",
}
_LINES = frozenset({".jsonl", ".ndjson"})
SUFFIXES = frozenset(_MEDIA_TYPES) | _LINES

#: A document beyond this is named and left out.
_MAX_BYTES = 16 << 20

Json = dict[str, Any]


@dataclass(frozen=True)
class Document:
    """A document as the gateway takes it."""

    id: str
    body: Json
    size: int
    """Bytes of text."""


@dataclass(frozen=True)
class Unreadable:
    """A document that cannot be sent, and why."""

    id: str
    reason: str


def find(paths: Sequence[Path]) -> list[Path]:
    """The files to read: those named, and in folders all of a known kind, hidden ones left out.

    Raises:
        CommandError: a path does not exist, a named file is of no known kind, or nothing is found.
    """
    found: dict[Path, None] = {}
    for path in paths:
        if path.is_dir():
            found.update(dict.fromkeys(_walk(path)))
        elif not path.exists():
            raise usage(f"{path} does not exist")
        elif path.suffix.lower() not in SUFFIXES:
            known = ", ".join(sorted(SUFFIXES))
            raise usage(f"{path} is of a kind that cannot be ingested", f"these can: {known}")
        else:
            found[path] = None
    if not found:
        raise usage(f"nothing to ingest in {', '.join(str(path) for path in paths)}")
    return list(found)


def read(path: Path) -> Iterator[Document | Unreadable]:
    """The documents of a file: itself, or one per line of JSON lines."""
    name = document_id(path)
    try:
        if path.suffix.lower() in _LINES:
            yield from _lines(path, name)
            return
        if path.stat().st_size > _MAX_BYTES:
            yield Unreadable(name, f"larger than {_MAX_BYTES >> 20} MiB")
            return
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        yield Unreadable(name, f"not UTF-8: byte {error.start} cannot be read")
    except OSError as error:
        yield Unreadable(name, error.strerror or str(error))
    else:
        body = {"id": name, "text": text, "media_type": _MEDIA_TYPES[path.suffix.lower()]}
        yield Document(name, body, len(text.encode()))


def document_id(path: Path) -> str:
    """The path seen from the working folder, or in full outside of it: the same file keeps its id."""
    absolute = Path(os.path.normpath(path.absolute()))
    here = Path.cwd()
    return (absolute.relative_to(here) if absolute.is_relative_to(here) else absolute).as_posix()


def batches(documents: Iterable[Document], count: int, size: int) -> Iterator[list[Document]]:
    """Documents in groups of at most `count`, and of at most `size` bytes where there are several."""
    group: list[Document] = []
    held = 0
    for document in documents:
        if group and (len(group) >= count or held + document.size > size):
            yield group
            group, held = [], 0
        group.append(document)
        held += document.size
    if group:
        yield group


def _walk(folder: Path) -> Iterator[Path]:
    for root, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(files):
            if not name.startswith(".") and Path(name).suffix.lower() in SUFFIXES:
                yield Path(root) / name


def _lines(path: Path, name: str) -> Iterator[Document | Unreadable]:
    with path.open("rb") as lines:
        number = 0
        while line := lines.readline(_MAX_BYTES + 1):
            number += 1
            where = f"{name}:{number}"
            if len(line) > _MAX_BYTES:
                yield Unreadable(where, f"longer than {_MAX_BYTES >> 20} MiB")
                while line and not line.endswith(b"\n"):
                    line = lines.readline(_MAX_BYTES)
            elif line.strip():
                yield _line(line, where)


def _line(line: bytes, where: str) -> Document | Unreadable:
    try:
        body = json.loads(line.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        return Unreadable(where, f"not UTF-8: byte {error.start} cannot be read")
    except ValueError as error:
        return Unreadable(where, f"not JSON: {error}")
    if not isinstance(body, dict):
        return Unreadable(where, "not a JSON object")
    body.setdefault("id", where)
    return Document(str(body["id"]), body, len(line))
