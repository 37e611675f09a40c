"""The worker process: its knowledge bases' generations, and the functions that the retriever has it run."""

import asyncio
from collections.abc import Coroutine, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from sluice_api.objects.knowledge_base import MetadataField
from sluice_retriever import numeric
from sluice_retriever.domain.model import DocumentSummary, Epoch, Reader, Usage
from sluice_retriever.store.conditions import field_indexes
from sluice_retriever.store.edge import schema
from sluice_retriever.store.edge.backend import EdgeBackend
from sluice_retriever.store.edge.directory import open_shard
from sluice_retriever.store.edge.ledger import RegisterLedger
from sluice_retriever.store.messages import CannotOpen, Found, Lookup, NotOpen, Part, Piece, Stocked, Stored
from sluice_retriever.store.schema import Manifest
from sluice_retriever.store.staged import Legs
from sluice_retriever.store.store import BackendStore
from sluice_retriever.worker_process import tie_to

T = TypeVar("T")

#: Metadata fields that a knowledge base declares.
Fields = tuple[MetadataField, ...]


class _Open:
    """An open generation."""

    def __init__(self, directory: Path, manifest: Manifest, fields: Fields, threads: int) -> None:
        shard = open_shard(directory, schema.edge_config(manifest, threads), field_indexes(fields))
        self.backend = EdgeBackend(shard)
        ledger = RegisterLedger(self.backend, directory / "register.sqlite")
        _run(ledger.recover())
        self.store = BackendStore(self.backend, ledger, manifest.shape.sparse.language)


# The one place with state of its own: a process pool's functions have no object to live on.
_open: dict[str, _Open] = {}
_loop = asyncio.new_event_loop()


def start(parent: int) -> None:
    """Readies the process; an orphan would hold the shards' locks for ever."""
    tie_to(parent)
    numeric.stay_on_one_thread()


def open_store(name: str, directory: Path, manifest: Manifest, fields: Fields, threads: int) -> None:
    """Opens a generation, or another in its place.

    Raises:
        CannotOpen: the data there does not fit the manifest, or cannot be read. The engine's own errors stay
            here, since they may not survive the pipe.
    """
    close_store(name)
    try:
        _open[name] = _Open(directory, manifest, fields, threads)
    except Exception as error:
        raise CannotOpen(f"{type(error).__name__}: {error}") from None


def close_store(name: str) -> None:
    """Closes a knowledge base; its data stays."""
    if name in _open:
        _run(_open.pop(name).store.close())


def stored(name: str, tenant: str, document_ids: Sequence[str]) -> dict[str, Stored]:
    """What is stored of those documents that are."""
    return _run(_store(name).stored(tenant, document_ids))


def write(name: str, parts: Sequence[Part]) -> None:
    """Writes parts of documents."""
    _run(_store(name).write(parts))


def abandon(name: str, tenant: str, write_ids: Sequence[str]) -> None:
    """Removes what was written of writes that will not go on."""
    _run(_store(name).abandon(tenant, write_ids))


def delete(name: str, tenant: str, document_ids: Sequence[str]) -> int:
    """Removes documents; gives how many there were."""
    return _run(_store(name).delete(tenant, document_ids))


def documents(name: str, tenant: str, prefix: str, after: str, limit: int) -> list[DocumentSummary]:
    """A tenant's documents, by id."""
    return _run(_store(name).documents(tenant, prefix, after, limit))


def usage(name: str, tenant: str) -> Usage:
    """Documents and chunks of a tenant."""
    return _run(_store(name).usage(tenant))


def touch(name: str, tenant: str, expiries: Mapping[str, float | None]) -> None:
    """Sets when stored documents' times are over."""
    _run(_store(name).touch(tenant, expiries))


def sweep(name: str, now: float) -> int:
    """Removes documents whose time is over."""
    return _run(_store(name).sweep(now))


def epoch(name: str, tenant: str, now: float) -> Epoch | None:
    """Where a tenant's writes stand."""
    return _run(_store(name).epoch(tenant, now))


def inventory(name: str, after: tuple[str, str], limit: int) -> list[Stocked]:
    """Documents of all tenants."""
    return _run(_store(name).inventory(after, limit))


def read(name: str, row: Stocked, start: int, count: int) -> Part | None:
    """A run of a document's chunks as they were stored."""
    return _run(_store(name).read(row, start, count))


def pieces(name: str, tenant: str, write_id: str, wordings: list[str]) -> list[Piece]:
    """Chunks of a write by their wordings."""
    return _run(_store(name).pieces(tenant, write_id, wordings))


def share(name: str, lookup: Lookup) -> float:
    """The share of the tenant's chunks that a lookup may find."""
    return _run(_store(name).share(lookup))


def values(name: str, reader: Reader, field: str, now: float, most: int) -> list[str]:
    """The commonest values of a metadata field."""
    return _run(_store(name).values(reader, field, now, most))


def legs(name: str, lookup: Lookup) -> Legs:
    """The first stage of a staged query."""
    return _run(_store(name).legs(lookup))


def finish(name: str, lookup: Lookup, found: Legs) -> Found:
    """The second stage of a staged query."""
    return _run(_store(name).finish(lookup, found))


def search(name: str, lookup: Lookup) -> Found:
    """Answers a staged query."""
    return _run(_store(name).search(lookup))


def optimize(name: str) -> None:
    """Builds the graph where the generation has one."""
    _find(name).backend.optimize()


def _find(name: str) -> _Open:
    try:
        return _open[name]
    except KeyError:
        raise NotOpen(name) from None


def _store(name: str) -> BackendStore:
    return _find(name).store


def _run(work: Coroutine[Any, Any, T]) -> T:
    return _loop.run_until_complete(work)
