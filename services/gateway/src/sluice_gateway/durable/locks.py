"""Executors on one data folder: the kernel lets go of a dead one's lock at once, before its lease has run out."""

from pathlib import Path

from sluice_gateway.storage import process_locks


class ExecutorLocks:
    """Holds this executor's lock until `close`.

    Args:
        folder: Where the locks of all executors on this data folder are.
    """

    def __init__(self, folder: Path, executor: str) -> None:
        self._folder = folder
        self._own = process_locks.lock(folder, executor)

    def dead(self) -> list[str]:
        """Executors whose process is gone."""
        return process_locks.dead(self._folder)

    def forget(self, executor: str) -> None:
        """Removes a dead executor's lock: nothing is left of it to take over."""
        process_locks.forget(self._folder, executor)

    def close(self) -> None:
        """Lets go."""
        self._own.close()
