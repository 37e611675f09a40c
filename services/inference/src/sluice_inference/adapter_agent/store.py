"""The folder that vLLM reads: one folder for each adapter, whole or not there, within a budget.

A folder is named by the digests of both files, `<sha256 of the weights>-<first 16 of the configuration's>`: the same
weights under another configuration answer otherwise. What it holds never changes.
"""

import asyncio
import json
import os
import re
import shutil
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final
from uuid import uuid4

from sluice_inference.adapter_agent import files
from sluice_inference.adapter_agent.checking.checks import AdapterWarning
from sluice_inference.adapter_agent.reasons import Reason, failure

#: Beside the adapter's own two files.
_RECORD: Final = "sluice.json"
_PARTIAL: Final = ".partial-"
_NAME: Final = re.compile(r"[0-9a-f]{64}-[0-9a-f]{16}")
_ALGORITHM: Final = "sha256:"


@dataclass(frozen=True, slots=True)
class Stored:
    """An adapter whose files are here and checked."""

    digest: str
    config_digest: str
    source: str
    """Stands for where it was asked for from."""
    origin: str
    rank: int
    base_model: str
    target_modules: tuple[str, ...]
    size_bytes: int
    warnings: tuple[AdapterWarning, ...]

    @property
    def folder(self) -> str:
        """Its folder's name."""
        return f"{self.digest.removeprefix(_ALGORITHM)}-{self.config_digest.removeprefix(_ALGORITHM)[:16]}"


#: The folders that vLLM has loaded adapters from.
InUse = Callable[[], Awaitable[frozenset[str]]]


class Store:
    """Adapters by their folders. One process alone writes there.

    Args:
        root: Where they lie; made where it is missing. What an earlier process left half done is removed.
        budget: Bytes that they may take up, those on their way included.
        keep_seconds: That one stays at least after it was last used. vLLM dies where it is to read a folder that is
            gone, and a request that came before an unload may still have it do so.
        in_use: Asked before one is removed to make room.

    Raises:
        OSError: the folder cannot be written to.
    """

    def __init__(self, root: Path, budget: int, keep_seconds: float, in_use: InUse) -> None:
        root.mkdir(parents=True, exist_ok=True)
        self._root = root
        self.budget = budget
        self._keep_seconds = keep_seconds
        self._in_use = in_use
        self._making_room = asyncio.Lock()
        self._pins: dict[str, int] = {}
        self._found: dict[str, Stored] = {}
        self._used_at: dict[str, float] = {}
        self.used = 0
        for folder in sorted(root.iterdir()):
            self._take_over(folder)

    @property
    def stored(self) -> list[Stored]:
        """All that are here, the one used last at the end."""
        return [self._found[name] for name in sorted(self._found, key=lambda name: self._used_at[name])]

    def find(self, digest: str, config_digest: str, source: str = "") -> Stored | None:
        """The adapter of these digests; of those that are empty, the one that came from the source last."""
        for found in reversed(self.stored):
            exact = bool(digest and config_digest)
            if (
                digest in ("", found.digest)
                and config_digest in ("", found.config_digest)
                and (exact or found.source == source)
            ):
                return found
        return None

    def use(self, stored: Stored) -> Path:
        """Its folder; it is the last now to make room for others."""
        folder = self._root / stored.folder
        self._used_at[stored.folder] = time.time()
        os.utime(folder / _RECORD)
        return folder

    @contextmanager
    def pinned(self, stored: Stored) -> Iterator[Path]:
        """Its folder, which stays at least for the length of the block."""
        name = stored.folder
        self._pins[name] = self._pins.get(name, 0) + 1
        try:
            yield self.use(stored)
        finally:
            self._pins[name] -= 1
            if not self._pins[name]:
                del self._pins[name]

    @contextmanager
    def partial(self) -> Iterator[Path]:
        """A folder for what is on its way, removed with all that is still in it."""
        folder = self._root / f"{_PARTIAL}{uuid4().hex}"
        folder.mkdir()
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    async def take(self, size: int) -> None:
        """Takes room for bytes that are about to be written; adapters that are not loaded make way, the one that
        was used longest ago first.

        Raises:
            ServiceError: there is not enough (`DISK_FULL`).
        """
        self.used += size
        if self.used <= self.budget:
            return
        try:
            async with self._making_room:
                await self._make_room()
        except BaseException:
            self.used -= size
            raise

    def give_back(self, size: int) -> None:
        """Gives room back."""
        self.used -= size

    async def keep(self, partial: Path, stored: Stored) -> Stored:
        """Moves a folder's two files to where vLLM finds them. They are on the disk before they have their name.

        Takes no room: whoever wrote the files has it, and gives back what was not new.

        Returns:
            What is there now: what was there before, where the same adapter came from two sources.
        """
        await asyncio.to_thread(_settle, partial, stored)
        if before := self._found.get(stored.folder):
            return before
        self._publish(partial, stored)
        await asyncio.to_thread(_sync, self._root)
        return stored

    def _publish(self, partial: Path, stored: Stored) -> None:
        partial.rename(self._root / stored.folder)
        self._found[stored.folder] = stored
        self._used_at[stored.folder] = time.time()

    def by_path(self, path: str) -> Stored | None:
        """The adapter in a folder of that name, wherever the folder is mounted."""
        return self._found.get(path.rstrip("/").rpartition("/")[2])

    async def _make_room(self) -> None:
        if self.used <= self.budget:  # somebody else has made it meanwhile
            return
        in_use = await self._in_use()
        for stored in self.stored:
            if self.used <= self.budget:
                break
            if stored.folder not in in_use and self._may_go(stored.folder):
                del self._found[stored.folder], self._used_at[stored.folder]
                doomed = self._doom(self._root / stored.folder)
                await asyncio.to_thread(shutil.rmtree, doomed, ignore_errors=True)
                self.used -= stored.size_bytes
        if self.used > self.budget:
            raise failure(
                Reason.DISK_FULL,
                f"adapters that are loaded, on their way or were used just now take up all {self.budget} bytes that "
                "they may have here; unload some, or raise SLUICE_DISK_BUDGET",
            )

    def _may_go(self, name: str) -> bool:
        return name not in self._pins and self._used_at[name] + self._keep_seconds <= time.time()

    def _doom(self, folder: Path) -> Path:
        # renamed before it is removed: half a folder must never have an adapter's name
        return folder.rename(self._root / f"{_PARTIAL}{uuid4().hex}")

    def _take_over(self, folder: Path) -> None:
        if folder.name.startswith(_PARTIAL):
            shutil.rmtree(folder, ignore_errors=True)
        if not _NAME.fullmatch(folder.name):
            return
        try:
            stored = _read(folder)
            self._used_at[folder.name] = (folder / _RECORD).stat().st_mtime
        except (OSError, ValueError, TypeError, KeyError):
            shutil.rmtree(self._doom(folder), ignore_errors=True)  # not one that was finished here
            return
        self._found[folder.name] = stored
        self.used += stored.size_bytes


def _read(folder: Path) -> Stored:
    record = json.loads((folder / _RECORD).read_text(encoding="utf-8"))
    record["target_modules"] = tuple(record["target_modules"])
    record["warnings"] = tuple(AdapterWarning(**warning) for warning in record["warnings"])
    stored = Stored(**record)
    size = sum((folder / name).stat().st_size for name in files.BOTH)
    if stored.folder != folder.name or stored.size_bytes != size:
        raise ValueError("the record is another folder's, or the files have changed")
    return stored


def _settle(partial: Path, stored: Stored) -> None:
    (partial / _RECORD).write_text(json.dumps(asdict(stored)), encoding="utf-8")
    for name in (*files.BOTH, _RECORD):
        _sync(partial / name)
    _sync(partial)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
