"""Which processes on one data folder live: each holds a lock on a file of its own for as long as it does."""

import fcntl
import os
from pathlib import Path
from typing import IO


def lock(folder: Path, name: str) -> IO[bytes]:
    """Held until it is closed; the kernel lets go of it when the process dies, however it dies."""
    folder.mkdir(parents=True, exist_ok=True)
    file = (folder / f"{name}.lock").open("wb")
    fcntl.flock(file, fcntl.LOCK_EX)
    return file


def dead(folder: Path) -> list[str]:
    """Those that no longer live and have not been forgotten."""
    return [file.stem for file in folder.glob("*.lock") if _is_dead(file)]


def forget(folder: Path, name: str) -> None:
    """Removes a dead one's file."""
    (folder / f"{name}.lock").unlink(missing_ok=True)


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
