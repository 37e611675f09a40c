"""The embedded keyword store: Tantivy, an index for each tenant, in the retriever's own process.

Tantivy's bindings release the interpreter's lock while they search, index and commit, so threads do; no worker process
is needed. An index for each tenant keeps a word's rarity the tenant's own, and no filter can be forgotten.
"""

import asyncio
import hashlib
import itertools
import shutil
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from sluice_api.objects.knowledge_base import Language
from sluice_retriever.keyword import question
from sluice_retriever.keyword.languages import resolved
from sluice_retriever.keyword.store import Entry, Hits
from sluice_retriever.keyword.tantivy_index import TantivyIndex
from sluice_servicekit.errors import Unavailable

T = TypeVar("T")

#: Raised when what is in an index changes its meaning; older ones are then removed.
_FORMAT = "1"

_TENANT_FILE = "tenant"


class TantivyStore:
    """A knowledge base's keyword store below a folder; see `KeywordStore`.

    Args:
        folder: Its data: `<format>-<language>/<digest of the tenant>`.
        language: Stop words and stems. An index of another language is removed when this one is made.
        search_threads: Searches at the same time.
        held_open: Tenants' indexes that stay open; opening one takes less than a millisecond.
    """

    def __init__(
        self, folder: Path, language: Language, search_threads: int = 1, held_open: int = 64
    ) -> None:
        self._folder = folder
        self._language = language
        self._held_open = held_open
        self._root = folder / f"{_FORMAT}-{resolved(language)}"
        self._indexes: OrderedDict[str, TantivyIndex] = OrderedDict()
        self._opening = threading.Lock()
        self._written: TantivyIndex | None = None
        self._searching = ThreadPoolExecutor(search_threads, "keyword-search")
        self._writing = ThreadPoolExecutor(1, "keyword-write")

    async def ensure(self) -> None:
        """Opens every tenant's index once, so that one that cannot be read is empty from the beginning."""
        await self._on(self._writing, self._ensure)

    async def write(self, entries: Sequence[Entry]) -> None:
        """Writes entries; each tenant's are on disk, and found, once it returns."""
        await self._on(self._writing, self._write, entries)

    async def delete_writes(self, tenant: str, write_ids: Sequence[str]) -> None:
        """Removes the entries of these writes."""
        if write_ids:
            await self._on(self._writing, self._delete_writes, tenant, write_ids)

    async def search(self, tenant: str, query: str, limit: int) -> Hits:
        """The tenant's best entries."""
        asked = question.parse(query)
        return await self._read(tenant, lambda index: index.search(asked, limit), [])

    async def count(self, tenant: str) -> int:
        """How many entries a tenant has."""
        return await self._read(tenant, lambda index: index.count(), 0)

    async def tenants(self) -> set[str]:
        """Who has an index here."""
        return set(await self._on(self._searching, self._tenants))

    async def writes(self, tenant: str) -> dict[str, int]:
        """A tenant's writes, with how many entries each has."""
        return await self._read(tenant, lambda index: index.writes(), {})

    async def close(self) -> None:
        """Ends what is being written and closes the indexes."""
        await self._on(self._writing, self._close_writer)
        for threads in (self._writing, self._searching):
            await asyncio.to_thread(threads.shutdown)
        self._indexes.clear()

    async def _read(self, tenant: str, ask: Callable[[TantivyIndex], T], nothing: T) -> T:
        def answer() -> T:
            return ask(self._index(tenant)) if self._directory(tenant).exists() else nothing

        return await self._on(self._searching, answer)

    async def _on(self, threads: Executor, function: Callable[..., T], *args: object) -> T:
        def guarded() -> T:
            try:
                return function(*args)
            except BaseException as error:  # PyO3 raises a panic as one
                raise Unavailable(f"the keyword store in {self._folder} failed: {error}") from error

        return await asyncio.get_running_loop().run_in_executor(threads, guarded)

    def _ensure(self) -> None:
        self._root.mkdir(parents=True, exist_ok=True)
        for other in self._folder.iterdir():
            if other != self._root:
                shutil.rmtree(other)
        for tenant in self._tenants():
            self._index(tenant)

    def _tenants(self) -> list[str]:
        return [path.read_text(encoding="utf-8") for path in self._root.glob(f"*/{_TENANT_FILE}")]

    def _write(self, entries: Sequence[Entry]) -> None:
        by_tenant = sorted(entries, key=lambda entry: entry.tenant)
        for tenant, of_tenant in itertools.groupby(by_tenant, key=lambda entry: entry.tenant):
            self._writer(tenant).write(list(of_tenant))

    def _delete_writes(self, tenant: str, write_ids: Sequence[str]) -> None:
        if self._directory(tenant).exists():
            self._writer(tenant).delete_writes(write_ids)

    def _writer(self, tenant: str) -> TantivyIndex:
        """The tenant's index; the one that was written before gives its writer back, which holds memory and threads."""
        index = self._index(tenant)
        if self._written is not index:
            self._close_writer()
            self._written = index
        return index

    def _close_writer(self) -> None:
        if self._written is not None:
            self._written.close_writer()
            self._written = None

    def _index(self, tenant: str) -> TantivyIndex:
        with self._opening:
            if tenant not in self._indexes:
                self._indexes[tenant] = self._open(tenant)
            self._indexes.move_to_end(tenant)
            if len(self._indexes) > self._held_open:
                # Its writer, where it has one, goes with `_written`.
                self._indexes.popitem(last=False)
            return self._indexes[tenant]

    def _open(self, tenant: str) -> TantivyIndex:
        directory = self._directory(tenant)
        directory.mkdir(parents=True, exist_ok=True)
        if not (directory / _TENANT_FILE).exists():
            unfinished = directory / "unfinished"
            unfinished.write_text(tenant, encoding="utf-8")
            unfinished.replace(directory / _TENANT_FILE)
        return TantivyIndex(directory / "index", self._language)

    def _directory(self, tenant: str) -> Path:
        return self._root / hashlib.sha256(tenant.encode()).hexdigest()[:32]
