"""Where a source writes to: a folder for what is on its way, with every byte counted, hashed and paid for."""

import asyncio
import errno
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import BinaryIO

from sluice_inference.adapter_agent import files
from sluice_inference.adapter_agent.reasons import Reason, failure
from sluice_inference.adapter_agent.store import Store


class Writer:
    """One file, as it is written."""

    def __init__(self, sink: "Sink", file: BinaryIO, most: int, name: str) -> None:
        self._sink = sink
        self._file = file
        self._most = most
        self._name = name
        self._hash = hashlib.sha256()
        self.size = 0

    async def write(self, piece: bytes) -> None:
        """Appends.

        Raises:
            ServiceError: the file grows too large (`TOO_LARGE`), or there is no room (`DISK_FULL`).
        """
        self.size += len(piece)
        if self.size > self._most:
            raise too_large(self._name, self._most)
        await self._sink.take(len(piece))
        try:
            await asyncio.to_thread(self._append, piece)
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise failure(Reason.DISK_FULL, "the disk of the adapters' folder is full") from error
            raise failure(
                Reason.DISK_FULL, f"the adapters' folder cannot be written: {error.strerror}"
            ) from error

    @property
    def digest(self) -> str:
        """Of what was written so far."""
        return f"sha256:{self._hash.hexdigest()}"

    def _append(self, piece: bytes) -> None:
        self._hash.update(piece)
        self._file.write(piece)


class Sink:
    """Files that come from a source.

    Args:
        folder: Where they are written.
        store: Whose room they take.
        max_bytes: That one file may have.
    """

    def __init__(self, folder: Path, store: Store, max_bytes: int) -> None:
        self.folder = folder
        self.max_bytes = max_bytes
        self._store = store
        self.taken = 0
        """Bytes of room that the files have."""
        self.came = 0
        """Bytes that came, for progress."""
        self.expected = 0
        """Bytes that will come; 0 while not known."""
        self.digests: dict[str, str] = {}
        """Of the files that are finished, by name."""

    @asynccontextmanager
    async def file(self, name: str, most: int = 0) -> AsyncIterator[Writer]:
        """A new file of this name; it takes the place of one that was there.

        Args:
            most: Bytes that it may have; what any file may have when 0.
        """
        self.remove(name)
        limit = min(
            most or self.max_bytes, files.MAX_CONFIG_BYTES if name == files.CONFIG else self.max_bytes
        )
        with _created(self.folder / name) as file:
            writer = Writer(self, file, limit, name)
            yield writer
        self.digests[name] = writer.digest

    async def take(self, size: int) -> None:
        """Takes room."""
        await self._store.take(size)
        self.taken += size

    def remove(self, name: str) -> None:
        """Removes a file that is no longer needed, if it is there."""
        path = self.folder / name
        if path.exists():
            self._give_back(path.stat().st_size)
            path.unlink()
            self.digests.pop(name, None)

    def give_back_all(self) -> None:
        """Gives all room back."""
        self._give_back(self.taken)

    def gave_over(self) -> None:
        """The files are the store's now, and their room with them."""
        self.taken = 0

    def _give_back(self, size: int) -> None:
        self.taken -= size
        self._store.give_back(size)


def _created(path: Path) -> BinaryIO:
    # Not in a thread: one who is cancelled while a thread opens a file never gets it, and cannot close it.
    return path.open("wb")


def too_large(name: str, most: int) -> Exception:
    """The failure of a file beyond its limit."""
    return failure(Reason.TOO_LARGE, f"{name} has more than {most} bytes")
