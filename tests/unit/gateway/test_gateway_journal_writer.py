"""The thread that writes, over a database that fails as databases do."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from sluice_gateway.journal import checkpoints, writer
from sluice_gateway.journal.chain import GENESIS, Head, Keys, Row
from sluice_gateway.journal.checkpoints import Checkpoint
from sluice_gateway.journal.sink import LaterError
from sluice_gateway.journal.verifying import Witnesses, verify
from sluice_gateway.journal.writer import Writer
from sluice_servicekit.errors import Unavailable
from support.journals import events_of

KEYS = Keys.derived(b"k" * 32)


@dataclass
class Failing:
    """A sink that raises what it is told, and then writes."""

    errors: list[Exception] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)
    attempts: list[list[Row]] = field(default_factory=list)

    def insert(self, rows: Sequence[Row], checkpoint: Checkpoint) -> None:
        self.attempts.append(list(rows))
        if self.errors:
            raise self.errors.pop(0)
        self.rows += rows

    def close(self) -> None: ...


@pytest.fixture
def opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Failing], Writer]]:
    monkeypatch.setattr(writer, "_FIRST_PAUSE", 0.001)
    monkeypatch.setattr(writer, "_CLOSING", 0.05)
    writers: list[Writer] = []

    def open_(sink: Failing) -> Writer:
        writers.append(Writer(sink, tmp_path, KEYS, "w", Head(0, GENESIS), 1024))
        return writers[-1]

    yield open_
    for each in writers:
        each.close()


def _flushed(durable: Future[None]) -> None:
    durable.result(timeout=10)


def test_what_cannot_be_written_now_is_written_later_and_in_order(
    opened: Callable[[Failing], Writer], tmp_path: Path
):
    sink = Failing([LaterError("away"), LaterError("away"), LaterError("away")])
    each = opened(sink)
    for event in events_of("r1"):
        each.append(event)
    _flushed(each.flush())
    for event in events_of("r2"):
        each.append(event)
    _flushed(each.flush())
    assert sink.attempts[0] == sink.attempts[1] == sink.attempts[3][: len(sink.attempts[0])]
    known, forged = checkpoints.read_all(tmp_path, KEYS.checkpoints)
    assert known["w"].head == Head(8, sink.rows[-1].hash)
    assert verify(sink.rows, Witnesses(known, forged), KEYS).passed


def test_what_can_never_be_written_is_left_out_and_said(opened: Callable[[Failing], Writer]):
    sink = Failing([ValueError("a row that no database takes")])
    each = opened(sink)
    each.append(events_of("r1")[0])
    with pytest.raises(Unavailable) as raised:
        _flushed(each.flush())
    assert "no database takes" not in str(raised.value)
    each.append(events_of("r2")[0])
    _flushed(each.flush())
    assert [(row.run_id, row.seq) for row in sink.rows] == [("r2", 1)]


def test_who_asks_while_the_database_has_been_away_is_refused_at_once(
    opened: Callable[[Failing], Writer], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(writer, "_OUTAGE", 0.0)
    sink = Failing([LaterError("away")] * 1_000_000)
    each = opened(sink)
    each.append(events_of("r1")[0])

    def ask() -> None:
        for _ in range(1000):  # until the writer has noticed
            with pytest.raises(TimeoutError):
                each.flush().result(timeout=0.01)

    with pytest.raises(Unavailable) as raised:
        ask()
    assert (raised.value.reason, raised.value.retry_after) == ("JOURNAL_UNAVAILABLE", 1.0)


def test_a_closing_writer_gives_up_after_a_while(opened: Callable[[Failing], Writer]):
    sink = Failing([LaterError("away")] * 1_000_000)
    each = opened(sink)
    each.append(events_of("r1")[0])
    waiting = each.flush()
    each.close()
    with pytest.raises(Unavailable):
        _flushed(waiting)
    assert not sink.rows
