"""A body that is either an archive or one layer of several, into a sink."""

import hashlib
from collections.abc import AsyncIterator
from typing import Final

import aiohttp

from sluice_inference.adapter_agent import files
from sluice_inference.adapter_agent.reasons import Reason, failure
from sluice_inference.adapter_agent.sink import Sink
from sluice_inference.adapter_agent.sources import archives, remote

_ARCHIVE: Final = ".archive"


async def take_archive(response: aiohttp.ClientResponse, sink: Sink) -> tuple[frozenset[str], str]:
    """The adapter's files out of an archive that a server sends.

    Returns:
        Their names, and the archive's own digest.

    Raises:
        ServiceError: it is too large, broken or hostile.
    """
    digest = hashlib.sha256()

    async def hashed() -> AsyncIterator[bytes]:
        async for piece in remote.pieces(response, sink):
            digest.update(piece)
            yield piece

    async with sink.file(_ARCHIVE) as writer:
        async for piece in archives.unpacked(hashed(), sink.max_bytes):
            await writer.write(piece)
    found = await archives.extract(sink, _ARCHIVE)
    return found, f"sha256:{digest.hexdigest()}"


def check_both(found: frozenset[str], what: str) -> None:
    """Lets an adapter with both of its files pass.

    Raises:
        ServiceError: one is missing (`SOURCE_NOT_FOUND`).
    """
    for name in files.BOTH:
        if name not in found:
            raise failure(Reason.SOURCE_NOT_FOUND, f"{what} has no {name}")
