"""Adds an entry to a keys file as a person would: comments and everything else stay as they are."""

import fcntl
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from sluice_gateway.domain.access_file import KeysFile
from sluice_gateway.keys_file import read_keys
from sluice_servicekit.errors import Conflict, FailedPrecondition

_MODE = 0o600


def entry_text(entry: Mapping[str, Any], indent: int = 0) -> str:
    """The entry as an item of the list `keys`."""
    text: str = yaml.safe_dump([dict(entry)], sort_keys=False, default_flow_style=None, width=1000)
    return "".join(f"{' ' * indent}{line}\n" for line in text.splitlines())


def append(path: Path, entry: Mapping[str, Any]) -> None:
    """Appends a key to a file, which it makes where there is none. Readers see the file before or after, not between.

    Raises:
        FailedPrecondition: the file cannot be read or written, or its list of keys is not one to append to.
        Conflict: it has a key of that name. The file is as it was.
    """
    path = path.resolve()  # through links: what they point to is replaced, not they
    if path.is_dir():
        raise FailedPrecondition(f"{path} is a folder: name a file in it")
    try:
        with _alone(path.parent):
            _append(path, entry)
    except OSError as error:
        raise FailedPrecondition(f"the API keys file {path} cannot be written: {error.strerror}") from error


def _append(path: Path, entry: Mapping[str, Any]) -> None:
    if not path.exists():
        _write(path, "keys:\n" + entry_text(entry), _MODE)
        return
    before = read_keys(path)
    if entry.get("id") in {key.name for key in before.keys}:
        raise Conflict(f"{path} has a key {entry['id']!r} already: choose another id")
    text = _with(path.read_text(encoding="utf-8"), entry)
    _prove(path, text, before, entry)
    _write(path, text, path.stat().st_mode & 0o777)


def _with(text: str, entry: Mapping[str, Any]) -> str:
    """The text with the entry behind the last of its keys."""
    if text and not text.endswith("\n"):
        text += "\n"
    listed = _keys_of(yaml.compose(text, Loader=yaml.SafeLoader))
    if listed is None:
        return f"{text}keys:\n{entry_text(entry)}"
    if listed.flow_style or not listed.value:
        raise FailedPrecondition(
            "the keys are on one line, as [..]: write them one below the other, each after a dash"
        )
    lines = text.splitlines(keepends=True)
    at = _end(listed.value[-1]) + 1
    dash = listed.start_mark.column
    return "".join([*lines[:at], entry_text(entry, dash), *lines[at:]])


def _keys_of(root: yaml.Node | None) -> yaml.SequenceNode | None:
    if isinstance(root, yaml.MappingNode):
        for name, value in root.value:
            if name.value == "keys" and isinstance(value, yaml.SequenceNode):
                return value
    return None


def _end(node: yaml.Node) -> int:
    """The last line of a node. What a block says of its own end is where the next thing begins, behind comments."""
    if isinstance(node, yaml.CollectionNode) and not node.flow_style and node.value:
        last = node.value[-1]
        return _end(last[1] if isinstance(last, tuple) else last)
    line: int = node.end_mark.line
    return line


def _prove(path: Path, text: str, before: KeysFile, entry: Mapping[str, Any]) -> None:
    """The new text must say what the old one did, and the entry."""
    wanted = KeysFile.model_validate(
        {**before.model_dump(exclude_unset=True), "keys": [*_dumped(before), dict(entry)]}
    )
    try:
        found = KeysFile.model_validate(yaml.safe_load(text))
    except ValueError:
        found = None
    if found is None or found.keys != wanted.keys or found.tenants != wanted.tenants:
        raise FailedPrecondition(
            f"{path} is written in a way that nothing can be added to: add the entry by hand"
        )


def _dumped(before: KeysFile) -> list[dict[str, Any]]:
    return [key.model_dump(exclude_unset=True) for key in before.keys]


def _write(path: Path, text: str, mode: int) -> None:
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            os.fchmod(handle, mode)
            file.write(text)
            file.flush()
            os.fsync(handle)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """One at a time appends to files of a folder; the lock is the folder's, as files are replaced."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
