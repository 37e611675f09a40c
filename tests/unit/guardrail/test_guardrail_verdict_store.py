"""What classifiers said of documents outlives the process, within bounds, and whatever becomes of the file."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from threading import Thread

import pytest

from sluice_guardrail.domain.classifying import memory
from sluice_guardrail.domain.classifying.memory import Memory
from sluice_guardrail.domain.model import Detection, Finding, Span
from sluice_guardrail.verdict_store import FILE, VerdictStore

DETECTION = Detection((Finding("injection", 0.8, Span(3, 9), "base64"),), 0.8)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[VerdictStore]:
    with closing(VerdictStore(tmp_path, 100)) as store:
        yield store


def test_lasting_detections_survive_and_others_do_not(tmp_path: Path):
    lasting, other = memory.key("one"), memory.key("two")
    with closing(VerdictStore(tmp_path, 100)) as store:
        remembered = Memory(store=store)
        remembered.put(lasting, DETECTION, lasting=True)
        remembered.put(other, DETECTION, lasting=False)
        assert remembered.get(other, lasting=False) == DETECTION
    with closing(VerdictStore(tmp_path, 100)) as store:
        remembered = Memory(store=store)
        assert remembered.get(lasting, lasting=False) is None
        assert remembered.get(lasting, lasting=True) == DETECTION
        assert remembered.get(lasting, lasting=False) == DETECTION  # held from now on
        assert remembered.get(other, lasting=True) is None


def test_the_least_recently_used_go_first(tmp_path: Path):
    with closing(VerdictStore(tmp_path, 1000)) as store:
        for number in range(900):
            store.put(b"%d" % number, b"said")
        assert store.get(b"0") == b"said"
        for number in range(900, 3000):
            store.put(b"%d" % number, b"said")
            store.get(b"0")
        assert store.get(b"0") == b"said"
        assert store.get(b"1") is None
        assert store.get(b"2999") == b"said"
        assert sum(store.get(b"%d" % number) is not None for number in range(3000)) <= 2000


def test_memory_is_bounded():
    remembered = Memory(entries=2)
    keys = [memory.key(str(number)) for number in range(3)]
    for each in keys:
        remembered.put(each, DETECTION, lasting=False)
    assert [remembered.get(each, lasting=False) is not None for each in keys] == [False, True, True]


def test_what_is_no_database_is_begun_anew(tmp_path: Path):
    (tmp_path / FILE).write_bytes(b"no database" * 1000)
    with closing(VerdictStore(tmp_path, 100)) as store:
        store.put(b"key", b"said")
        assert store.get(b"key") == b"said"


def test_store_that_cannot_be_written_forgets(store: VerdictStore, tmp_path: Path):
    with closing(sqlite3.connect(tmp_path / FILE)) as other:
        other.execute("DROP TABLE classified")
        other.commit()
    store.put(b"key", b"said")
    assert store.get(b"key") is None


def test_threads_share_a_store(store: VerdictStore):
    def work(name: bytes) -> None:
        for number in range(50):
            store.put(name + b"%d" % number, name)
            assert store.get(name + b"%d" % number) == name

    threads = [Thread(target=work, args=(name,)) for name in (b"a", b"b", b"c")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert store.get(b"c49") == b"c"


def test_texts_are_not_in_the_file(store: VerdictStore, tmp_path: Path):
    Memory(store=store).put(memory.key("a very secret text"), DETECTION, lasting=True)
    store.close()
    assert b"secret" not in b"".join(path.read_bytes() for path in tmp_path.iterdir())


def test_keys_tell_texts_and_circumstances_apart():
    keys = {
        memory.key("a"),
        memory.key("b"),
        memory.key("a", "1"),
        memory.key("a", "1", "2"),
        memory.key("\ud800"),
    }
    assert len(keys) == 5
