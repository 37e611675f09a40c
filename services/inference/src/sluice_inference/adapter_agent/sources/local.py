"""Folders of this machine and of volumes that are mounted on it."""

import asyncio
import os
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO, Final

from sluice_inference.adapter_agent import files
from sluice_inference.adapter_agent.reasons import Reason, failure
from sluice_inference.adapter_agent.sink import Sink
from sluice_inference.adapter_agent.sources import archives

#: Where Linux tells which file a descriptor is of.
_DESCRIPTORS: Final = Path("/proc/self/fd")


async def copy(folder: Path, roots: Sequence[Path], sink: Sink) -> str:
    """Copies an adapter out of a folder: what lies there may change, and what vLLM reads must not.

    Links are followed as far as they stay below one of the roots, as those of a hub's cache do.

    Returns:
        The folder.

    Raises:
        ServiceError: it does not lie below a root (`SOURCE_PATH_REFUSED`), or has no adapter.
    """
    for name in files.BOTH:
        try:
            file = await asyncio.to_thread(_open, folder / name, roots)
        except FileNotFoundError:
            raise await asyncio.to_thread(_missing, folder, name) from None
        except OSError as error:
            raise failure(
                Reason.SOURCE_FORBIDDEN, f"{folder / name} cannot be read: {error.strerror}"
            ) from error
        with file:
            sink.expected += os.fstat(file.fileno()).st_size
            async with sink.file(name) as writer:
                while piece := await asyncio.to_thread(file.read, files.PIECE):
                    sink.came += len(piece)
                    await writer.write(piece)
    return str(folder)


def _open(path: Path, roots: Sequence[Path]) -> BinaryIO:
    """The file. Where it really lies is asked once it is open, so that no link can be exchanged in between."""
    if not _lies_below(path.resolve(), roots):
        raise _refused(path)
    descriptor = os.open(
        path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC
    )  # a pipe would have us wait for ever
    file = os.fdopen(descriptor, "rb")
    really = (_DESCRIPTORS / str(descriptor)).resolve()
    if not _lies_below(really, roots) or not stat.S_ISREG(os.fstat(descriptor).st_mode):
        file.close()
        raise _refused(path)
    return file


def _lies_below(path: Path, roots: Sequence[Path]) -> bool:
    return any(path.is_relative_to(root.resolve()) for root in roots)


def _missing(folder: Path, name: str) -> Exception:
    if name == files.WEIGHTS and any((folder / pickle).exists() for pickle in files.PICKLES):
        return archives.pickled()
    return failure(Reason.SOURCE_NOT_FOUND, f"{folder} has no {name}")


def _refused(path: Path) -> Exception:
    return failure(
        Reason.SOURCE_PATH_REFUSED,
        f"{path} does not lie below a folder that adapters may be read from, or is no file; see SLUICE_LOCAL_ROOTS "
        "and SLUICE_PVC_ROOT",
    )
