"""Generations of a knowledge base on disk: one is in force, named by a file that is swapped whole.

<knowledge base>/current              the generation in force
<knowledge base>/g000001/             its manifest, shard and register
<knowledge base>/g000002/             another that is being built beside it
"""

import os
import shutil
from pathlib import Path

from pydantic import ValidationError

from sluice_retriever.store.schema import FORMAT, Manifest
from sluice_servicekit.errors import FailedPrecondition

_CURRENT = "current"
_MANIFEST = "manifest.json"
_UNFINISHED = ".unfinished"


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

    def names(self) -> list[str]:
        """All generations, oldest first."""
        return sorted(path.parent.name for path in self._directory.glob(f"g*/{_MANIFEST}") if _is_whole(path))

    def after(self, generation: str) -> list[Manifest]:
        """Generations after this one, oldest first."""
        return [self._read(name) for name in self.names() if name > generation]

    def create(self, manifest: Manifest) -> None:
        """Makes an empty generation; it is there whole or not at all."""
        unfinished = self._directory / f"{manifest.generation}{_UNFINISHED}"
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

    def keep_only(self, *generations: str) -> None:
        """Removes all but these."""
        for path in list(self._directory.glob("g*")):
            if path.name not in generations:
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


def _is_whole(manifest: Path) -> bool:
    return not manifest.parent.name.endswith(_UNFINISHED)


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
