"""Archives of strangers: what comes out of them is two files, whatever else they hold or pretend."""

import gzip
import io
import os
import stat
import struct
import tarfile
import zipfile
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sluice_inference.adapter_agent.reasons import Reason, is_permanent
from sluice_inference.adapter_agent.sink import Sink
from sluice_inference.adapter_agent.sources import archives
from sluice_inference.adapter_agent.store import Store
from sluice_servicekit.errors import ServiceError
from support import lora

FILES = {"adapter_config.json": b"{}", "adapter_model.safetensors": b"weights" * 100}
MOST = 1 << 20


async def nothing_in_use() -> frozenset[str]:
    return frozenset()


class Extraction:
    """A sink in a folder of its own, in which an archive is unpacked."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "in"
        self.folder.mkdir(parents=True, exist_ok=True)
        self.store = Store(folder / "store", 8 * MOST, 0, nothing_in_use)
        self.sink = Sink(self.folder, self.store, MOST)

    async def take(self, content: bytes, size: int = 100_000) -> frozenset[str]:
        async def pieces() -> AsyncIterator[bytes]:
            for start in range(0, len(content), size):
                yield content[start : start + size]

        async with self.sink.file(".archive") as writer:
            async for piece in archives.unpacked(pieces(), MOST):
                await writer.write(piece)
        return await archives.extract(self.sink, ".archive")

    @property
    def found(self) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in self.folder.iterdir()}


def files_below(folder: Path) -> set[Path]:
    return {path for path in folder.rglob("*") if not path.is_dir()}


@pytest.fixture
def extraction(tmp_path: Path) -> Extraction:
    return Extraction(tmp_path)


def zipped(files: dict[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", compression) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return made.getvalue()


def tarred(*entries: tuple[tarfile.TarInfo, bytes], form: int = tarfile.PAX_FORMAT) -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w", format=form) as archive:
        for entry, content in entries:
            archive.addfile(entry, io.BytesIO(content))
    return made.getvalue()


def entry(name: str, size: int = 0, kind: bytes = tarfile.REGTYPE, target: str = "") -> tarfile.TarInfo:
    made = tarfile.TarInfo(name)
    made.size, made.type, made.linkname = size, kind, target
    return made


def whole() -> list[tuple[tarfile.TarInfo, bytes]]:
    return [(entry(name, len(content)), content) for name, content in FILES.items()]


PACKED: list[tuple[str, Callable[[], bytes]]] = [
    ("tar", lambda: lora.tar(FILES, "w")),
    ("tar.gz", lambda: lora.tar(FILES)),
    ("two members of gzip", lambda: _in_two(lora.tar(FILES, "w"))),
    ("padded gzip", lambda: lora.tar(FILES) + b"\0" * 512),
    ("zip", lambda: zipped(FILES)),
    ("stored zip", lambda: zipped(FILES, zipfile.ZIP_STORED)),
    ("folder in a zip", lambda: zipped({f"a/b/{name}": content for name, content in FILES.items()})),
    ("./", lambda: lora.tar(FILES, folder="./")),
    ("gnu", lambda: tarred(*whole(), form=tarfile.GNU_FORMAT)),
    ("more files", lambda: lora.tar({**FILES, "README.md": b"hello", "adapter_model.bin": b"pickle"})),
]


def _in_two(content: bytes) -> bytes:
    half = len(content) // 2
    return gzip.compress(content[:half]) + gzip.compress(content[half:])


@pytest.mark.parametrize("size", [97, 100_000])
@pytest.mark.parametrize(("_kind", "made"), PACKED, ids=[kind for kind, _ in PACKED])
async def test_both_files_come_out_and_nothing_else(
    extraction: Extraction, _kind: str, made: Callable[[], bytes], size: int
) -> None:
    assert await extraction.take(made(), size) == FILES.keys()
    assert extraction.found == FILES
    assert extraction.sink.digests == {name: lora.digest(content) for name, content in FILES.items()}
    assert extraction.store.used == sum(map(len, FILES.values()))


async def test_of_a_training_run_the_adapter_is_taken_and_not_its_checkpoints(extraction: Extraction) -> None:
    older = {f"checkpoint-5/{name}": b"older" for name in FILES}
    await extraction.take(lora.tar({**older, **FILES}))
    assert extraction.found == FILES


LARGE = 32 << 20


def sparse() -> bytes:
    """As GNU tar writes a file with a hole."""
    header = bytearray(tarred((entry("adapter_config.json", 512), b"x" * 512), form=tarfile.GNU_FORMAT))
    header[156:157] = tarfile.GNUTYPE_SPARSE
    header[386:410] = b"00000000000\x0000000001000\x00"
    header[483:495] = b"77777777777\x00"
    header[148:156] = b"        "
    header[148:156] = f"{sum(header[:512]):06o}\0 ".encode()
    return bytes(header)


def oversized_pax() -> bytes:
    """A header of its own kind, larger than any needs to be, which a reader takes into memory whole."""
    return tarred((entry("header", LARGE, tarfile.XHDTYPE), b"\0" * LARGE), *whole())


def linked_zip() -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        link = zipfile.ZipInfo("adapter_config.json")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(link, "/etc/passwd")
    return made.getvalue()


def encrypted_zip() -> bytes:
    content = bytearray(zipped(FILES))
    for magic, at in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        place = content.find(magic)
        content[place + at] |= 1
    return bytes(content)


def lying_zip(size: int) -> bytes:
    """Says that a file unpacks to another size than it does."""
    content = bytearray(zipped({"adapter_config.json": b"x" * 5000}))
    place = content.find(b"PK\x01\x02")
    content[place + 24 : place + 28] = struct.pack("<I", size)
    return bytes(content)


HOSTILE: list[tuple[str, Callable[[], bytes], str]] = [
    ("..", lambda: tarred((entry("../adapter_config.json", 2), b"{}")), "leads out"),
    ("deep ..", lambda: tarred((entry("a/../../b", 2), b"{}")), "leads out"),
    ("absolute", lambda: tarred((entry("/etc/cron.d/a", 2), b"{}")), "leads out"),
    (".. in a zip", lambda: zipped({"../adapter_config.json": b"{}"}), "leads out"),
    ("absolute in a zip", lambda: zipped({"/adapter_config.json": b"{}"}), "leads out"),
    (
        "link",
        lambda: tarred((entry("adapter_config.json", 0, tarfile.SYMTYPE, "/etc/passwd"), b"")),
        "no plain file",
    ),
    (
        "hard link",
        lambda: tarred((entry("adapter_config.json", 0, tarfile.LNKTYPE, "/etc/passwd"), b"")),
        "no plain file",
    ),
    ("device", lambda: tarred((entry("a", 0, tarfile.CHRTYPE), b"")), "no plain file"),
    ("pipe", lambda: tarred((entry("adapter_config.json", 0, tarfile.FIFOTYPE), b"")), "no plain file"),
    ("sparse", sparse, "no plain file"),
    ("link in a zip", linked_zip, "no plain file"),
    ("encrypted", encrypted_zip, "encrypted"),
    ("more than it says", lambda: lying_zip(10), "broken|cut off|more than"),
    ("less than it says", lambda: lying_zip(6000), "cut off"),
    (
        "two adapters",
        lambda: zipped({f"{at}/{name}": b"{}" for at in "ab" for name in FILES}),
        "more than one",
    ),
    ("cut", lambda: lora.tar(FILES)[:-20], "cut off|broken"),
    ("cut tar", lambda: lora.tar(FILES, "w")[:900], "cannot be read|broken|cut off"),
    ("rubbish after gzip", lambda: lora.tar(FILES) + b"rubbish", "broken"),
    ("bzip2", lambda: lora.tar(FILES, "w:bz2"), "bzip2"),
    ("xz", lambda: lora.tar(FILES, "w:xz"), "xz"),
    ("html", lambda: b"<html>Sign in</html>" * 100, "cannot be read"),
    ("nothing", lambda: b"", "cannot be read"),
]


@pytest.mark.parametrize(("_kind", "made", "why"), HOSTILE, ids=[kind for kind, _, _ in HOSTILE])
async def test_a_hostile_archive_is_refused_and_leaves_nothing(
    tmp_path: Path, extraction: Extraction, _kind: str, made: Callable[[], bytes], why: str
) -> None:
    content = made()
    with pytest.raises(ServiceError, match=why) as caught:
        await extraction.take(content)

    assert caught.value.reason in (Reason.ARCHIVE_INVALID, Reason.TOO_LARGE)
    assert is_permanent(caught.value)
    assert {path.name for path in files_below(tmp_path)} <= {".archive", "adapter_config.json"}
    extraction.sink.give_back_all()
    assert extraction.store.used == 0


@pytest.mark.parametrize("made", [zipped, lora.tar])
async def test_an_archive_of_too_many_is_not_listed_to_its_end(
    extraction: Extraction, made: Callable[[dict[str, bytes]], bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archives, "MAX_ENTRIES", 20)
    with pytest.raises(ServiceError, match="more than 20 entries"):
        await extraction.take(made({str(number): b"" for number in range(21)}))


async def test_a_header_is_not_read_into_memory_whole(tmp_path: Path) -> None:
    path = tmp_path / ".archive"
    path.write_bytes(oversized_pax())
    sink = Sink(tmp_path, Store(tmp_path / "store", MOST, 0, nothing_in_use), MOST)
    with pytest.raises(ServiceError, match="larger than any is"):
        await archives.extract(sink, ".archive")


@pytest.mark.parametrize(
    "content",
    [
        gzip.compress(b"\0" * (8 * MOST)),
        zipped({"adapter_model.safetensors": b"\0" * (8 * MOST)}),
        zipped({"adapter_config.json": b"\0" * (2 << 20)}),
    ],
    ids=["gzip", "zip", "configuration"],
)
async def test_a_bomb_goes_off_nowhere(extraction: Extraction, content: bytes) -> None:
    with pytest.raises(ServiceError) as caught:
        await extraction.take(content)

    assert caught.value.reason == Reason.TOO_LARGE
    assert sum(path.stat().st_size for path in extraction.folder.iterdir()) <= 2 * MOST


async def test_weights_that_are_a_pickle_say_how_to_save_them(extraction: Extraction) -> None:
    with pytest.raises(ServiceError, match="pickle") as caught:
        await extraction.take(lora.tar({"adapter_config.json": b"{}", "adapter_model.bin": b"\x80\x04"}))
    assert caught.value.reason == Reason.NOT_SAFETENSORS


paths = st.lists(
    st.sampled_from(
        ["..", ".", "", "a", "~", "adapter_config.json", "adapter_model.safetensors", "C:", "con"]
    ),
    min_size=1,
    max_size=4,
).map("/".join)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.tuples(
            paths,
            st.sampled_from([tarfile.REGTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE]),
            st.binary(max_size=20),
        ),
        max_size=4,
    ),
    st.integers(0, 2000),
    st.integers(0, 255),
)
async def test_no_archive_writes_outside_or_raises_what_is_not_a_reason(
    tmp_path: Path, entries: list[tuple[str, bytes, bytes]], place: int, byte: int
) -> None:
    folder = tmp_path / os.urandom(4).hex()
    extraction = Extraction(folder)
    content = bytearray(
        tarred(
            *(
                (entry(name, len(data) if kind == tarfile.REGTYPE else 0, kind, "../../x"), data)
                for name, kind, data in entries
            )
        )
    )
    content[place % len(content)] = byte  # and one of its bytes is another
    reason: str = Reason.ARCHIVE_INVALID
    try:
        await extraction.take(bytes(content))
    except ServiceError as error:
        reason = error.reason
    assert reason in (Reason.ARCHIVE_INVALID, Reason.TOO_LARGE)
    assert files_below(folder) <= {extraction.folder / name for name in (*FILES, ".archive")}
