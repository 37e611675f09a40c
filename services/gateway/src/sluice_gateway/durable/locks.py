"""Executors on one data folder: the kernel lets go of a dead one's lock at once, before its lease has run out."""

import fcntl
import os
from pathlib import Path
from typing import IO


class ExecutorLocks:
    """Holds this executor's lock until `close`.

    Args:
        folder: Where the locks of all executors on this data folder are.
    """

    def __init__(self, folder: Path, executor: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._own: IO[bytes] = (folder / f"{executor}.lock").open("wb")
        fcntl.flock(self._own, fcntl.LOCK_EX)

    def dead(self) -> list[str]:
        """Executors whose process is gone."""
        return [file.stem for file in self._folder.glob("*.lock") if _is_dead(file)]

    def forget(self, executor: str) -> None:
        """Removes a dead executor's lock: nothing is left of it to take over."""
        (self._folder / f"{executor}.lock").unlink(missing_ok=True)

    def close(self) -> None:
        """Lets go."""
        self._own.close()


def _is_dead(lock: Path) -> bool:
    try:
        descriptor = os.open(lock, os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    else:
        return True
    finally:
        os.close(descriptor)
