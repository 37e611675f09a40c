"""Generations of a knowledge base on disk: one is in force, named by a file that is swapped whole.

<knowledge base>/current              the generation in force
<knowledge base>/g000001/             its manifest, shard and register
<knowledge base>/g000002/             another that is being built beside it
"""

import os
import shutil
from collections.abc import Iterable
from pathlib import Path

from pydantic import ValidationError

from sluice_retriever.store.schema import FORMAT, Manifest
from sluice_servicekit.errors import FailedPrecondition

_CURRENT = "current"
_MANIFEST = "manifest.json"
_FIRST = "g000001"


class Generations:
    """The generations of one knowledge base."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def path(self, generation: str) -> Path:
        """Where a generation lies."""
        return self._directory / generation

    def current(self) -> Manifest | None:
        """The generation in force; None where there never was one.

        Raises:
            FailedPrecondition: it was written by another version, or cannot be read.
        """
        pointer = self._directory / _CURRENT
        if pointer.exists():
            return self._read(pointer.read_text().strip())
        if (self._directory / "shard").exists():
            raise self._unreadable("it was written by an earlier version")
        return None

    def unfinished(self) -> list[Manifest]:
        """Generations after the one in force, oldest first."""
        current = self.current()
        names = sorted(path.parent.name for path in self._directory.glob(f"g*/{_MANIFEST}"))
        return [self._read(name) for name in names if current is not None and name > current.generation]

    def following(self) -> str:
        """A name for the next generation."""
        names = [path.name for path in self._directory.glob("g*") if path.name[1:].isdigit()]
        return f"g{int(max(names)[1:]) + 1:06}" if names else _FIRST

    def create(self, manifest: Manifest) -> None:
        """Makes an empty generation; it is there whole or not at all."""
        unfinished = self._directory / f"{manifest.generation}.unfinished"
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(parents=True)
        _write(unfinished / _MANIFEST, manifest.model_dump_json(by_alias=True))
        unfinished.rename(self.path(manifest.generation))
        _sync(self._directory)

    def put_in_force(self, generation: str) -> None:
        """Makes a generation the one in force, durably."""
        pointer = self._directory / f"{_CURRENT}.new"
        _write(pointer, generation)
        pointer.rename(self._directory / _CURRENT)
        _sync(self._directory)

    def remove_others(self, *kept: str) -> None:
        """Removes all generations but these."""
        self._remove(path for path in self._directory.glob("g*") if path.name not in kept)

    def remove_before(self, generation: str) -> None:
        """Removes what this generation has taken the place of."""
        self._remove(path for path in self._directory.glob("g*") if path.name < generation)

    def _remove(self, paths: Iterable[Path]) -> None:
        for path in list(paths):
            shutil.rmtree(path, ignore_errors=True)

    def _read(self, name: str) -> Manifest:
        try:
            manifest = Manifest.model_validate_json((self.path(name) / _MANIFEST).read_text())
        except (OSError, ValidationError) as error:
            raise self._unreadable(f"generation {name} has no manifest that can be read: {error}") from error
        if manifest.format != FORMAT:
            raise self._unreadable(f"generation {name} has format {manifest.format}, not {FORMAT}")
        return manifest

    def _unreadable(self, why: str) -> FailedPrecondition:
        return FailedPrecondition(
            f"knowledge base {self._directory.name!r} cannot be opened: {why}; remove {self._directory} and"
            " ingest its documents again",
            reason="KNOWLEDGE_BASE_CANNOT_BE_OPENED",
        )


def _write(path: Path, content: str) -> None:
    with path.open("w") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _sync(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
