"""Files on disk as documents. Files go as they are; JSON lines are parted here. What cannot be read is named, not
raised."""

import base64
import json
import math
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sluice_api.media_types import BY_SUFFIX, MAX_CONTENT_BYTES, media_type_of
from sluice_cli.errors import usage

_LINES = frozenset({".jsonl", ".ndjson"})

#: A line of JSON lines beyond this is named and left out.
_MAX_LINE_BYTES = 16 << 20

#: What a URL counts, since nobody knows yet how much is behind it.
URL_BYTES = 16 << 10

Json = dict[str, Any]


@dataclass(frozen=True)
class Document:
    """A document as the gateway takes it."""

    id: str
    body: Json
    size: int
    """Bytes on disk; a guess for a URL."""


@dataclass(frozen=True)
class Unreadable:
    """A document that cannot be sent, and why."""

    id: str
    reason: str
    size: int = 0


@dataclass(frozen=True)
class Found:
    """What there is to ingest."""

    files: list[Path]
    left_out: Counter[str] = field(default_factory=Counter)
    """Files in folders that are of no kind that can be ingested, by suffix."""
    unreadable: list[Unreadable] = field(default_factory=list)
    """Folders that cannot be looked into."""
    urls: list[str] = field(default_factory=list)

    @property
    def size(self) -> int:
        """Bytes of all, as far as they can be looked at."""
        return _total(self.files) + URL_BYTES * len(self.urls)


def find(paths: Sequence[Path], urls: Sequence[str] = ()) -> Found:
    """The files to read: those named, and in folders all of a known kind, hidden ones left out. And URLs.

    Raises:
        CommandError: a path does not exist, a named file is of no known kind, or nothing is found.
    """
    found: dict[Path, None] = {}
    left_out: Counter[str] = Counter()
    unreadable: list[Unreadable] = []
    for path in paths:
        if path.is_dir():
            for file in _walk(path, unreadable):
                if _is_known(file):
                    found[file] = None
                else:
                    left_out[file.suffix.lower() or "no suffix"] += 1
        elif not path.exists():
            raise usage(f"{path} does not exist")
        elif not _is_known(path):
            known = ", ".join(sorted(BY_SUFFIX.keys() | _LINES))
            raise usage(
                f"{path} is of a kind that cannot be ingested",
                f"these can: {known}; .gz around any but JSON lines",
            )
        else:
            found[path] = None
    if not found and not unreadable and not urls:
        others = f"; left out: {kinds(left_out)}" if left_out else ""
        where = f" in {', '.join(str(path) for path in paths)}" if paths else ""
        raise usage(f"nothing to ingest{where}{others}")
    return Found(list(found), left_out, unreadable, list(dict.fromkeys(urls)))


def kinds(left_out: Counter[str]) -> str:
    """Counts by suffix as a person reads them."""
    return ", ".join(f"{count} {suffix}" for suffix, count in left_out.most_common())


def counted(files: int, urls: int) -> str:
    """Sources as a person reads them."""
    counts = ((files, "file"), (urls, "URL"))
    return " and ".join(f"{count} {word}s" for count, word in counts if count) or "0 files"


def read(path: Path) -> Iterator[Document | Unreadable]:
    """The documents of a file: itself, or one per line of JSON lines."""
    name = document_id(path)
    try:
        if not path.is_file():
            path.stat()  # says why where it is a link to nowhere
            yield Unreadable(name, "not a regular file")  # to read a pipe would wait for ever
        elif path.suffix.lower() in _LINES:
            yield from _lines(path, name)
        else:
            yield _file(path, name)
    except OSError as error:
        yield Unreadable(name, error.strerror or str(error))


def document_id(path: Path) -> str:
    """The path seen from the working folder, or in full outside of it: the same file keeps its id."""
    absolute = Path(os.path.normpath(path.absolute()))
    here = Path.cwd()
    name = (absolute.relative_to(here) if absolute.is_relative_to(here) else absolute).as_posix()
    return name.encode(errors="replace").decode()  # a name in another encoding than the system's


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


def _is_known(path: Path) -> bool:
    return path.suffix.lower() in _LINES or media_type_of(path.name) is not None


def _walk(folder: Path, unreadable: list[Unreadable]) -> Iterator[Path]:
    def note(error: OSError) -> None:
        unreadable.append(Unreadable(document_id(Path(error.filename)), error.strerror or str(error)))

    for root, folders, files in os.walk(folder, onerror=note):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(files):
            if not name.startswith("."):
                yield Path(root) / name


def _file(path: Path, name: str) -> Document | Unreadable:
    size = path.stat().st_size
    if size > MAX_CONTENT_BYTES:
        return Unreadable(name, f"larger than {MAX_CONTENT_BYTES >> 20} MiB; split it", size)
    content = path.read_bytes()
    if not content:
        return Unreadable(name, "empty")
    return Document(name, {"id": name, "content": base64.b64encode(content).decode()}, len(content))


def _lines(path: Path, name: str) -> Iterator[Document | Unreadable]:
    with path.open("rb") as lines:
        number = 0
        if not path.stat().st_size:
            yield Unreadable(name, "empty")
        while line := lines.readline(_MAX_LINE_BYTES + 1):
            number += 1
            where = f"{name}:{number}"
            if len(line) > _MAX_LINE_BYTES:
                size = len(line)
                while line and not line.endswith(b"\n"):
                    line = lines.readline(_MAX_LINE_BYTES)
                    size += len(line)
                yield Unreadable(where, f"longer than {_MAX_LINE_BYTES >> 20} MiB", size)
            elif line.strip():
                yield _line(line, where)


def _line(line: bytes, where: str) -> Document | Unreadable:
    try:
        body = json.loads(line.decode("utf-8-sig"), parse_constant=_no_number, parse_float=_finite)
        if b"\\ud" in line.lower():  # what might be half a pair
            json.dumps(body, ensure_ascii=False).encode()
    except UnicodeDecodeError as error:
        return Unreadable(where, f"not UTF-8: byte {error.start} cannot be read", len(line))
    except UnicodeEncodeError:
        return Unreadable(where, "holds half a surrogate pair", len(line))
    except ValueError as error:
        return Unreadable(where, f"not JSON: {error}", len(line))
    except RecursionError:
        return Unreadable(where, "nested too deeply", len(line))
    if not isinstance(body, dict):
        return Unreadable(where, "not a JSON object", len(line))
    body.setdefault("id", body.get("url") or where)
    # The gateway answers by id: one that is no text would not be told from another.
    if not isinstance(body["id"], str) or not body["id"]:
        return Unreadable(where, "id is not text", len(line))
    return Document(body["id"], body, len(line))


def _no_number(name: str) -> float:
    raise ValueError(f"{name} is no number of JSON's")


def _finite(number: str) -> float:
    value = float(number)
    return value if math.isfinite(value) else _no_number(number)


def _total(files: Iterable[Path]) -> int:
    total = 0
    for file in files:
        try:
            total += file.stat().st_size
        except OSError:
            continue
    return total
