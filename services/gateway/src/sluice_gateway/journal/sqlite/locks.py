"""Which writers of a SQLite journal live: each holds a lock on a file for as long as its process does."""

import fcntl
import os
from pathlib import Path
from typing import IO

_FOLDER = "writers"


def lock(data_dir: Path, writer: str) -> IO[bytes]:
    """Held while the writer lives; the kernel lets go of it when the process dies, however it dies."""
    folder = data_dir / _FOLDER
    folder.mkdir(exist_ok=True)
    file = (folder / f"{writer}.lock").open("wb")
    fcntl.flock(file, fcntl.LOCK_EX)
    return file


def dead(data_dir: Path) -> list[str]:
    """Writers that no longer live and have not been forgotten."""
    return [file.stem for file in (data_dir / _FOLDER).glob("*.lock") if _is_dead(file)]


def forget(data_dir: Path, writer: str) -> None:
    """Removes a dead writer's file."""
    (data_dir / _FOLDER / f"{writer}.lock").unlink(missing_ok=True)


def _is_dead(file: Path) -> bool:
    try:
        descriptor = os.open(file, os.O_RDONLY)
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
