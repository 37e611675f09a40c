"""Object files: compiled at start, and again whenever one changes."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

from watchfiles import awatch

from sluice_api.compiling import Compilation, compile_objects
from sluice_api.errors import ObjectError
from sluice_api.loading import load


def compile_files(paths: Sequence[Path]) -> Compilation:
    """The compilation of files and folders.

    Raises:
        ObjectError: with every problem found.
    """
    return compile_objects(load(paths))


def modules_folder(paths: Sequence[Path]) -> Path | None:
    """Where policies in WebAssembly lie beside the objects: `modules` in the first folder that has it, else in the
    first folder, where it may yet come; None where no folder is given."""
    candidates = [path.absolute() / "modules" for path in paths if path.is_dir()]
    return next((folder for folder in candidates if folder.is_dir()), next(iter(candidates), None))


async def changes(paths: Sequence[Path]) -> AsyncIterator[Compilation | ObjectError]:
    """What comes of the files after each change to them."""
    # Folders, not files: an editor that writes a new file in place of the old one would end a watch on the old.
    folders = {path if path.is_dir() else path.parent for path in paths}
    async for _ in awatch(*folders, debounce=200, step=50):
        try:
            yield await asyncio.to_thread(compile_files, paths)
        except ObjectError as error:
            yield error
