"""The worker process: its knowledge bases, and the functions that the retriever has it run."""

import os
from collections.abc import Sequence
from pathlib import Path

from sluice_api.objects.knowledge_base import KnowledgeBaseSpec
from sluice_retriever import numeric
from sluice_retriever.domain.model import Passage
from sluice_retriever.store.edge_store import EdgeStore
from sluice_retriever.store.messages import CannotOpen, Lookup, NotOpen, Part, Stored
from sluice_retriever.worker_process import tie_to

# The one place with state of its own: a process pool's functions have no object to live on.
_stores: dict[str, EdgeStore] = {}


def start(parent: int) -> None:
    """Readies the process; an orphan would hold the shards' locks for ever."""
    tie_to(parent)
    numeric.stay_on_one_thread()


def open_store(name: str, directory: Path, spec: KnowledgeBaseSpec, threads: int) -> None:
    """Opens a knowledge base, or reopens it where its spec has changed.

    Raises:
        CannotOpen: the data there does not fit the spec, or cannot be read. The engine's own errors stay
            here, since they may not survive the pipe.
    """
    close_store(name)
    try:
        _stores[name] = EdgeStore(directory, spec, threads)
    except Exception as error:
        raise CannotOpen(f"{type(error).__name__}: {error}") from None


def close_store(name: str) -> None:
    """Closes a knowledge base; its data stays."""
    if name in _stores:
        _stores.pop(name).close()


def _store(name: str) -> EdgeStore:
    try:
        return _stores[name]
    except KeyError:
        raise NotOpen(name) from None


def stored(name: str, tenant: str, document_ids: Sequence[str]) -> dict[str, Stored]:
    """What is stored of those documents that are."""
    store = _store(name)
    found = ((document, store.stored(tenant, document)) for document in document_ids)
    return {document: content for document, content in found if content is not None}


def write(name: str, parts: Sequence[Part]) -> None:
    """Writes parts of documents."""
    _store(name).write(parts)


def abandon(name: str, write_ids: Sequence[str]) -> None:
    """Removes what was written of writes that will not go on."""
    _store(name).abandon(write_ids)


def delete(name: str, tenant: str, document_ids: Sequence[str]) -> int:
    """Removes documents; gives how many there were."""
    return _store(name).delete(tenant, document_ids)


def search(name: str, lookup: Lookup) -> list[Passage]:
    """Answers a staged query."""
    return _store(name).search(lookup)


def list_documents(name: str, tenant: str, prefix: str, after: str, limit: int) -> list[tuple[str, int]]:
    """Ids and chunks of a tenant's documents, by id."""
    return _store(name).list_documents(tenant, prefix, after, limit)


def usage(name: str, tenant: str) -> tuple[int, int]:
    """Documents and chunks of a tenant."""
    return _store(name).usage(tenant)


def pid() -> int:
    """The worker's process id."""
    return os.getpid()
