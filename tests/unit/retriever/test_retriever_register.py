"""The register: one write of a document in force, whatever happens around it."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from sluice_retriever.store.edge.register import Register
from sluice_retriever.store.messages import Part, Stored


def part(write_id: str, document_id: str = "d", digest: str = "x", total: int | None = 1) -> Part:
    return Part(write_id, "t", document_id, digest, "{}", (), None, (), start=0, total=total)


@pytest.fixture
def register(tmp_path: Path) -> Iterator[Register]:
    register = Register(tmp_path / "register.sqlite")
    yield register
    register.close()


def test_a_write_counts_once_it_is_committed(register: Register) -> None:
    register.begin([part("w1")])
    before = register.stored("t", "d")
    register.commit([part("w1")])

    assert before is None
    assert register.stored("t", "d") == Stored("x", 1, "w1")
    assert register.unfinished() == []


def test_a_newer_write_makes_the_older_stale(register: Register) -> None:
    for write in (part("w1", digest="x"), part("w2", digest="y", total=3)):
        register.begin([write])
        register.commit([write])

    assert register.stored("t", "d") == Stored("y", 3, "w2")
    assert register.stale() == ["w1"]
    assert register.usage("t") == (1, 3)


def test_an_abandoned_write_leaves_the_older_in_force(register: Register) -> None:
    register.begin([part("w1")])
    register.commit([part("w1")])
    register.begin([part("w2", digest="y")])
    register.abandon(["w1", "w2"])

    assert register.stored("t", "d") == Stored("x", 1, "w1")
    assert register.stale() == ["w2"]
    assert not register.is_pending("w2")


def test_tenants_do_not_share_documents(register: Register) -> None:
    register.begin([part("w1")])
    register.commit([part("w1")])

    assert register.stored("other", "d") is None
    assert register.usage("other") == (0, 0)
    assert register.retire("other", ["d"]) == 0


def test_what_was_committed_is_there_after_reopening(tmp_path: Path) -> None:
    first = Register(tmp_path / "r.sqlite")
    first.begin([part("w1"), part("w2", "e")])
    first.commit([part("w1")])
    first.close()

    second = Register(tmp_path / "r.sqlite")

    assert second.stored("t", "d") == Stored("x", 1, "w1")
    assert second.unfinished() == ["w2"]
    second.close()


def test_a_failing_commit_changes_nothing(register: Register) -> None:
    register.begin([part("w1")])
    register.commit([part("w1")])

    with pytest.raises(Exception, match="UNIQUE"):
        register.begin([part("w2"), part("w1")])

    assert register.unfinished() == []


class RegisterMachine(RuleBasedStateMachine):
    """Any order of calls, against a dictionary."""

    def __init__(self) -> None:
        super().__init__()
        self.register = Register(Path(":memory:"))
        self.stored: dict[str, str] = {}
        self.pending: dict[str, str] = {}
        self.writes = 0

    @rule(document=st.sampled_from("ab"))
    def begin(self, document: str) -> None:
        self.writes += 1
        write = str(self.writes)
        self.register.begin([part(write, document, digest=write)])
        self.pending[write] = document

    @rule(data=st.data())
    def commit(self, data: st.DataObject) -> None:
        if self.pending:
            write = data.draw(st.sampled_from(sorted(self.pending)))
            document = self.pending.pop(write)
            self.register.commit([part(write, document, digest=write)])
            self.stored[document] = write

    @rule(data=st.data())
    def abandon(self, data: st.DataObject) -> None:
        if self.pending:
            write = data.draw(st.sampled_from(sorted(self.pending)))
            del self.pending[write]
            self.register.abandon([write])

    @rule(document=st.sampled_from("ab"))
    def retire(self, document: str) -> None:
        assert self.register.retire("t", [document]) == (self.stored.pop(document, None) is not None)

    @rule()
    def forget(self) -> None:
        self.register.forget(self.register.stale())

    @invariant()
    def agrees(self) -> None:
        for document in "ab":
            found = self.register.stored("t", document)
            assert (found.digest if found else None) == self.stored.get(document)
        assert set(self.pending) == set(self.register.unfinished()) - set(self.register.stale())

    def teardown(self) -> None:
        self.register.close()


TestRegister = RegisterMachine.TestCase
TestRegister.settings = settings(max_examples=30, stateful_step_count=20, deadline=None)


def epoch_of(register: Register, tenant: str = "t", now: float = 0.0) -> tuple[int, float | None]:
    found = register.epoch(tenant, now)
    return found.number, found.next_expiry


def test_epoch_rises_with_what_changes_a_tenants_documents_and_with_nothing_else(register: Register) -> None:
    register.begin([part("w1")])
    before = epoch_of(register)
    register.commit([part("w1")])
    stored = epoch_of(register)
    register.retire("t", ["unknown"])
    unknown = epoch_of(register)
    register.touch("t", {"d": 50.0})
    touched = epoch_of(register)
    register.expire(49.0)
    not_over = epoch_of(register)
    register.expire(50.0)

    assert [before, stored, unknown] == [(0, None), (1, None), (1, None)]
    assert [touched, not_over] == [(2, 50.0), (2, 50.0)]
    assert epoch_of(register) == (3, None)
    assert epoch_of(register, "other") == (0, None)


def test_epoch_tells_the_next_expiry_and_deletion_raises_it(register: Register) -> None:
    for write, document, expires in (("w1", "d1", 10.0), ("w2", "d2", 20.0)):
        written = replace(part(write, document), expires=expires)
        register.begin([written])
        register.commit([written])
    assert [epoch_of(register, now=now) for now in (9.0, 10.0, 20.0)] == [(2, 10.0), (2, 20.0), (2, None)]
    assert register.retire("t", ["d1"]) == 1
    assert epoch_of(register) == (3, 20.0)


def test_epoch_outlives_the_process_but_not_the_register(tmp_path: Path) -> None:
    path = tmp_path / "register.sqlite"
    first = Register(path)
    first.begin([part("w1")])
    first.commit([part("w1")])
    kept = first.epoch("t", 0.0)
    first.close()
    again = Register(path)
    assert again.epoch("t", 0.0) == kept
    again.close()
    other = Register(tmp_path / "other.sqlite")
    assert other.epoch("t", 0.0).counter != kept.counter
    other.close()
