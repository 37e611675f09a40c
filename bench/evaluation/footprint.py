"""Bytes that vectors take: by arithmetic, and as the worker and its folder show."""

import re
from collections import Counter
from pathlib import Path

from rich.table import Table

from evaluation.measuring import Data, measured, shard
from sluice_api.objects.knowledge_base import Quantization
from sluice_retriever.domain.model import DENSE_DIMENSION

#: Bits of a component in the codes that a search reads first.
_BITS = {
    Quantization.BINARY_32X: 1,
    Quantization.BINARY_16X: 2,
    Quantization.TURBO: 2,
    Quantization.SCALAR: 8,
    Quantization.NONE: 0,
}


async def table(data: Data, count: int, folder: Path) -> Table:
    """Each preset's bytes a vector."""
    found = Table(
        "preset",
        "codes, computed",
        "originals, computed",
        "on disk",
        "in memory after searches",
        title=f"bytes a dense vector, {count:,} {data.kind} vectors",
    )
    for preset in Quantization:
        async with shard(folder, preset, graph=False) as there:
            empty_disk, empty_memory = await there.disk(), await there.resident()
            await there.insert(data.path, 0, count)
            await measured(there, data, count, (preset, "scan"))
            disk, memory = await there.disk() - empty_disk, await there.resident() - empty_memory
        codes = DENSE_DIMENSION * _BITS[preset] // 8
        found.add_row(
            preset, str(codes), str(4 * DENSE_DIMENSION), f"{disk / count:,.0f}", f"{memory / count:,.0f}"
        )
    return found


def by_kind(folder: Path, chunks: int) -> Table:
    """What a knowledge base's folder holds a chunk, by part of the engine's storage."""
    sizes: Counter[str] = Counter()
    for path in folder.rglob("*"):
        if path.is_file():
            sizes[_kind(path.relative_to(folder))] += path.stat().st_blocks * 512
    found = Table("part", "bytes a chunk", title=f"a knowledge base on disk, {chunks:,} chunks")
    for kind, size in sizes.most_common():
        found.add_row(kind, f"{size / chunks:,.0f}")
    return found


def _kind(path: Path) -> str:
    """The part that a file is of: the folder below its segment, or the file's own place."""
    parts = path.parts
    if "segments" in parts:
        below = parts[parts.index("segments") + 2 :]
        return re.sub(r"-(?=\w+$)", " of ", below[0]) if len(below) > 1 else "segment's own"
    return "write-ahead log" if "wal" in parts else "register and rest"
