"""The embedded keyword store: what its folder outlives, and what is its own alone."""

import asyncio
import signal
import subprocess
import sys
import threading
import uuid
from pathlib import Path

import pytest

from sluice_api.objects.knowledge_base import Language
from sluice_retriever.keyword.store import Entry
from sluice_retriever.keyword.tantivy_store import TantivyStore
from sluice_servicekit.errors import Unavailable

TENANT = "acme"


def entry(text: str, write: str = "w", tenant: str = TENANT) -> Entry:
    return Entry(str(uuid.uuid4()), write, tenant, "d", "", text)


async def _opened(folder: Path, language: Language = Language.ENGLISH) -> TantivyStore:
    store = TantivyStore(folder, language)
    await store.ensure()
    return store


def _content(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


async def test_another_language_begins_anew(tmp_path: Path):
    store = await _opened(tmp_path)
    await store.write([entry("wine")])
    await store.close()
    store = await _opened(tmp_path, Language.GERMAN)
    assert await store.tenants() == set()
    await store.close()
    assert _content(tmp_path) == ["1-de"]


async def test_auto_is_english(tmp_path: Path):
    store = await _opened(tmp_path, Language.AUTO)
    await store.write([entry("wines")])
    await store.close()
    store = await _opened(tmp_path, Language.ENGLISH)
    assert len(await store.search(TENANT, "the wine", 10)) == 1
    await store.close()


def _damage(folder: Path, pattern: str) -> None:
    [index] = [path.parent / "index" for path in folder.glob("*/*/tenant") if path.read_text() == TENANT]
    for path in index.glob(pattern):
        path.write_bytes(b"not an index")


@pytest.mark.parametrize("damage", ["meta.json", "*.term", "*.store"])
async def test_index_that_cannot_be_read_is_made_anew_and_others_stay(tmp_path: Path, damage: str):
    store = await _opened(tmp_path)
    await store.write([entry("wine"), entry("wine", tenant="other")])
    await store.close()
    _damage(tmp_path, damage)
    store = await _opened(tmp_path)
    assert await store.count(TENANT) == 0
    assert await store.count("other") == 1
    await store.write([entry("wine")])
    assert await store.count(TENANT) == 1
    await store.close()


async def test_another_tenants_documents_do_not_change_a_ranking(tmp_path: Path):
    store = await _opened(tmp_path)
    ours = [entry("wine"), entry("water"), entry("water and wine and salt")]
    await store.write(ours)
    before = await store.search(TENANT, "water wine", 10)
    await store.write([entry("wine", tenant="other") for _ in range(200)])
    assert await store.search(TENANT, "water wine", 10) == before
    await store.close()


async def test_more_tenants_than_are_held_open_are_all_there(tmp_path: Path):
    store = TantivyStore(tmp_path, Language.ENGLISH, held_open=2)
    await store.ensure()
    tenants = [f"tenant {number}" for number in range(5)]
    for round_ in ("one", "two"):
        await store.write([entry("wine", round_, tenant) for tenant in tenants])
    assert [await store.count(tenant) for tenant in tenants] == [2] * 5
    assert await store.tenants() == set(tenants)
    await store.close()


async def test_looking_makes_no_index(tmp_path: Path):
    store = await _opened(tmp_path)
    await store.search("nobody", "wine", 10)
    await store.delete_writes("nobody", ["w"])
    assert await store.tenants() == set()
    await store.close()


def _replace_by_a_file(folder: Path) -> None:
    (root,) = folder.iterdir()
    root.rmdir()
    root.write_text("a file in its place")


async def test_folder_that_cannot_be_written_is_unavailable(tmp_path: Path):
    store = await _opened(tmp_path)
    _replace_by_a_file(tmp_path)
    with pytest.raises(Unavailable, match="the keyword store in"):
        await store.write([entry("wine")])
    await store.close()


_WRITER = """
import asyncio, sys, uuid
from pathlib import Path
from sluice_api.objects.knowledge_base import Language
from sluice_retriever.keyword.store import Entry
from sluice_retriever.keyword.tantivy_store import TantivyStore

async def main():
    store = TantivyStore(Path(sys.argv[1]), Language.ENGLISH)
    await store.ensure()
    while True:
        write = uuid.uuid4().hex
        await store.write([Entry(str(uuid.uuid4()), write, "acme", "d", "", "wine " * 50) for _ in range(20)])
        print(write, flush=True)

asyncio.run(main())
"""


def _written_until_killed(folder: Path) -> list[str]:
    """The writes that had returned."""
    command = [sys.executable, "-c", _WRITER, str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        done = [writer.stdout.readline() for _ in range(10)]
        writer.send_signal(signal.SIGKILL)
        done += list(writer.stdout)
    return [line.strip() for line in done if line.endswith("\n")]


async def test_what_was_written_outlives_kill_9_and_the_store_opens_again(tmp_path: Path):
    done = await asyncio.to_thread(_written_until_killed, tmp_path)
    store = await _opened(tmp_path)
    writes = await store.writes(TENANT)
    assert len(done) >= 10
    assert {write: writes.get(write) for write in done} == dict.fromkeys(done, 20)
    await store.write([entry("wine", "after")])
    assert (await store.writes(TENANT))["after"] == 1
    await store.close()


async def test_threads_end_with_the_store(tmp_path: Path):
    store = await _opened(tmp_path)
    await store.write([entry("wine")])
    await store.search(TENANT, "wine", 10)
    await store.close()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("keyword-")]
