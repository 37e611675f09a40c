"""Archives of strangers: the adapter's two files are read out of one, and nothing else of it is written anywhere.

No name of an archive becomes a path, so none can lead out of the folder. Size, number and what a header may ask to be
read at once are bounded, and links are refused: what they point to is not in the archive.
"""

import asyncio
import tarfile
import zipfile
import zlib
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO, Final, cast

from sluice_inference.adapter_agent import files
from sluice_inference.adapter_agent.reasons import Reason, failure
from sluice_inference.adapter_agent.sink import Sink
from sluice_servicekit.errors import ServiceError

#: Entries of an archive; an adapter's has a handful, that of a training run some hundreds.
MAX_ENTRIES: Final = 10_000
#: What one header may have read at once.
_MAX_READ: Final = 16 << 20
_GZIP: Final = b"\x1f\x8b"
_ZIP: Final = b"PK"
_OTHERS: Final = {b"BZh": "bzip2", b"\xfd7zXZ": "xz", b"\x28\xb5\x2f\xfd": "zstandard", b"7z\xbc\xaf": "7z"}

#: The errors of both libraries, which also let some of `struct`, `zlib` and of their own arithmetic pass.
_BROKEN: Final = (
    tarfile.TarError,
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    OSError,
    ValueError,
    OverflowError,
    IndexError,
    NotImplementedError,
    RuntimeError,
)


@dataclass(frozen=True, slots=True)
class Member:
    """A regular file of an archive."""

    path: PurePosixPath
    size: int
    open: Callable[[], BinaryIO]


async def unpacked(pieces: AsyncIterator[bytes], most: int) -> AsyncIterator[bytes]:
    """What a stream holds: unpacked where it is gzip, else as it is.

    Args:
        most: Bytes that may come out.

    Raises:
        ServiceError: it is cut off or broken (`ARCHIVE_INVALID`), or holds more (`TOO_LARGE`).
    """
    first = await anext(pieces, b"")
    if not first.startswith(_GZIP):
        yield first
        async for piece in pieces:
            yield piece
        return
    total = 0
    decompressor = zlib.decompressobj(wbits=31)
    waiting = first
    while True:
        try:
            plain = await asyncio.to_thread(decompressor.decompress, waiting, files.PIECE)
        except zlib.error as error:
            raise invalid(f"its gzip is broken: {error}") from None
        total += len(plain)
        if total > most:
            raise failure(Reason.TOO_LARGE, f"the archive holds more than {most} bytes")
        if plain:
            yield plain
        waiting = decompressor.unconsumed_tail
        if decompressor.eof:
            waiting = await _padding_passed(decompressor.unused_data, pieces)
            if not waiting:
                return
            decompressor = zlib.decompressobj(wbits=31)  # another member follows
        elif not waiting and not (waiting := await anext(pieces, b"")):
            raise invalid("its gzip is cut off")


async def _padding_passed(waiting: bytes, pieces: AsyncIterator[bytes]) -> bytes:
    while not (waiting := waiting.lstrip(b"\0")):
        if not (waiting := await anext(pieces, b"")):
            return b""
    return waiting


async def extract(sink: Sink, archive: str) -> frozenset[str]:
    """Reads the adapter's files out of an archive in a sink, and removes the archive.

    Args:
        archive: Its name; a tar that is not packed, or a zip.

    Returns:
        The names of those that were in it.

    Raises:
        ServiceError: it is none, or a hostile one (`ARCHIVE_INVALID`), or holds two adapters.
    """
    with ExitStack() as opened:
        try:
            members = await asyncio.to_thread(_members, sink.folder / archive, opened)
        except _BROKEN as error:
            raise invalid(f"it cannot be read: {type(error).__name__}") from None
        chosen = choose(members)
        for name, member in chosen.items():
            await _copy(sink, name, member)
    sink.remove(archive)
    return frozenset(chosen)


def choose(members: Iterable[Member]) -> dict[str, Member]:
    """The files to take, all of one folder: that below which all others lie, as the checkpoints of a training do.

    Raises:
        ServiceError: there are several adapters (`ARCHIVE_INVALID`), or the weights are a pickle
            (`NOT_SAFETENSORS`).
    """
    folders: dict[PurePosixPath, dict[str, Member]] = {}
    for member in members:
        if member.path.name in files.BOTH or member.path.name in files.PICKLES:
            folders.setdefault(member.path.parent, {})[member.path.name] = member
    if not folders:
        return {}
    first = min(folders, key=lambda folder: len(folder.parts))
    if not all(folder.is_relative_to(first) for folder in folders):
        listed = ", ".join(sorted(str(folder)[:80] for folder in folders)[:3])
        raise invalid(f"it holds more than one adapter ({listed}); pack one alone")
    chosen = {name: member for name, member in folders[first].items() if name in files.BOTH}
    if files.WEIGHTS not in chosen and len(chosen) < len(folders[first]):
        raise pickled()
    return chosen


def pickled() -> ServiceError:
    """The failure of weights that are a pickle."""
    return failure(
        Reason.NOT_SAFETENSORS,
        f"the weights are a pickle, which runs code when it is read; save them as {files.WEIGHTS}",
    )


def invalid(why: str) -> ServiceError:
    """The failure of an archive."""
    return failure(Reason.ARCHIVE_INVALID, f"the archive is refused: {why}")


def _members(path: Path, opened: ExitStack) -> list[Member]:
    file = cast(BinaryIO, _Bounded(opened.enter_context(path.open("rb"))))
    start = file.read(8)
    file.seek(0)
    for magic, kind in _OTHERS.items():
        if start.startswith(magic):
            raise invalid(f"{kind} is not read here; pack it as .tar.gz or .zip")
    found = _zip(file, opened) if start.startswith(_ZIP) else _tar(file, opened)
    members = []
    for number, member in enumerate(found):
        if number == MAX_ENTRIES:
            raise invalid(f"it has more than {MAX_ENTRIES} entries")
        if member.path.is_absolute() or ".." in member.path.parts:
            raise invalid(f"{str(member.path)[:80]!r} leads out of it")
        members.append(member)
    return members


def _tar(file: BinaryIO, opened: ExitStack) -> Iterator[Member]:
    archive = opened.enter_context(tarfile.TarFile(fileobj=file, mode="r"))
    for number, entry in enumerate(archive):
        if number == MAX_ENTRIES:
            raise invalid(f"it has more than {MAX_ENTRIES} entries")
        if entry.isdir():
            continue
        if not entry.isreg() or entry.issparse():
            raise invalid(f"{entry.name[:80]!r} is no plain file: links and devices are not taken")
        yield Member(PurePosixPath(entry.name), entry.size, _opener(archive, entry))


def _opener(archive: tarfile.TarFile, entry: tarfile.TarInfo) -> Callable[[], BinaryIO]:
    return lambda: cast(BinaryIO, archive.extractfile(entry))


def _zip(file: BinaryIO, opened: ExitStack) -> Iterator[Member]:
    archive = opened.enter_context(zipfile.ZipFile(file))
    for entry in archive.infolist():
        if entry.is_dir():
            continue
        kind = entry.external_attr >> 28  # of Unix: 8 is a regular file, 10 a link, 0 was not said
        if kind not in (0, 8):
            raise invalid(f"{entry.filename[:80]!r} is no plain file: links and devices are not taken")
        if entry.flag_bits & 1 or entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise invalid(f"{entry.filename[:80]!r} is encrypted, or packed in a way that is not read here")
        yield Member(PurePosixPath(entry.filename), entry.file_size, _zip_opener(archive, entry))


def _zip_opener(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> Callable[[], BinaryIO]:
    return lambda: cast(BinaryIO, archive.open(entry))


async def _copy(sink: Sink, name: str, member: Member) -> None:
    async with sink.file(name, member.size or 1) as writer:
        try:
            with member.open() as file:
                while piece := await asyncio.to_thread(file.read, files.PIECE):
                    await writer.write(piece)
        except _BROKEN as error:
            raise invalid(f"{name} in it is broken: {type(error).__name__}") from None
    if writer.size != member.size:
        raise invalid(f"{name} in it is cut off")


class _Bounded:
    """A file that no header can have read into memory whole."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.seek, self.tell, self.seekable = file.seek, file.tell, file.seekable

    def read(self, size: int = -1) -> bytes:
        """As a file's own, up to a bound."""
        found = self._file.read(size if 0 <= size <= _MAX_READ else _MAX_READ + 1)
        if len(found) > _MAX_READ:
            raise invalid("a header in it is larger than any is")
        return found
