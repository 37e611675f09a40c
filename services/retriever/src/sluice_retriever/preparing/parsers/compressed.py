"""What is packed, unpacked within bounds: a small file may unpack to terabytes."""

import io
import zipfile
import zlib

from sluice_retriever.preparing.parsers.parsed import Unparsable

GZIP_MAGIC = b"\x1f\x8b"
ZIP_MAGIC = b"PK\x03\x04"

#: The most that a file may unpack to; more than any document of ours may have.
MAX_UNPACKED = 64 << 20
_MAX_MEMBERS = 10_000


def gunzip(content: bytes) -> bytes:
    """The content of a gzip file, all its members.

    Raises:
        Unparsable: it is damaged, or unpacks to more than `MAX_UNPACKED`.
    """
    unpacked = bytearray()
    rest = content
    try:
        while rest.startswith(GZIP_MAGIC):
            member = zlib.decompressobj(wbits=31)
            unpacked += member.decompress(rest, MAX_UNPACKED + 1 - len(unpacked))
            if len(unpacked) > MAX_UNPACKED or member.unconsumed_tail:
                raise Unparsable(f"unpacks to more than {MAX_UNPACKED >> 20} MiB")
            if not member.eof:
                raise Unparsable("damaged: the gzip stream ends too early")
            rest = member.unused_data
    except zlib.error as error:
        raise Unparsable(f"damaged: {error}") from error
    return bytes(unpacked)


def open_zip(content: bytes) -> zipfile.ZipFile:
    """A zip file whose members unpack, by what it says itself, within bounds; zipfile reads no more than it says.

    Raises:
        Unparsable: it is damaged, encrypted, or says that it unpacks to more than `MAX_UNPACKED`.
    """
    try:
        archive = zipfile.ZipFile(io.BytesIO(content))
    except zipfile.BadZipFile as error:
        raise Unparsable(f"damaged: {error}") from error
    members = archive.infolist()
    if len(members) > _MAX_MEMBERS or sum(member.file_size for member in members) > MAX_UNPACKED:
        raise Unparsable(f"unpacks to more than {MAX_UNPACKED >> 20} MiB")
    if any(member.flag_bits & 1 for member in members):
        raise Unparsable("encrypted: remove the password first")
    return archive
