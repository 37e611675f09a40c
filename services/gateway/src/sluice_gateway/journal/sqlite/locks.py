"""Which writers of a SQLite journal live."""

from pathlib import Path
from typing import IO

from sluice_gateway.storage import process_locks

_FOLDER = "writers"


def lock(data_dir: Path, writer: str) -> IO[bytes]:
    """Held while the writer lives; see `process_locks.lock`."""
    return process_locks.lock(data_dir / _FOLDER, writer)


def dead(data_dir: Path) -> list[str]:
    """Writers that no longer live and have not been forgotten."""
    return process_locks.dead(data_dir / _FOLDER)


def forget(data_dir: Path, writer: str) -> None:
    """Removes a dead writer's file."""
    process_locks.forget(data_dir / _FOLDER, writer)
