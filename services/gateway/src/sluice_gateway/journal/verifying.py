"""Verifies a journal: every row's seal, every chain's order, every checkpoint, every writer."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from sluice_gateway.journal.chain import GENESIS, WRITER_OPENED, Head, Keys, Row, is_sealed
from sluice_gateway.journal.checkpoints import Checkpoint
from sluice_gateway.journal.stubs import Stub


class Fault(StrEnum):
    """What can be wrong with a journal."""

    EDITED_ROW = "edited-row"
    BROKEN_CHAIN = "broken-chain"
    MISSING_ROWS = "missing-rows"
    DELETED_TAIL = "deleted-tail"
    MISSING_WRITER = "missing-writer"
    MISSING_CHECKPOINT = "missing-checkpoint"
    FORGED_CHECKPOINT = "forged-checkpoint"
    FORGED_STUB = "forged-stub"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong."""

    fault: Fault
    writer: str
    seq: int
    message: str


@dataclass(slots=True)
class AuditReport:
    """What was read and what is wrong with it."""

    rows: int = 0
    writers: int = 0
    cut: int = 0
    """Rows that retention has cut, by its stubs."""
    findings: list[Finding] = field(default_factory=list)

    @property
    def passed(self) -> bool:
        """True where nothing is wrong."""
        return not self.findings

    def add(self, fault: Fault, writer: str, seq: int, message: str) -> None:
        """Notes a finding."""
        self.findings.append(Finding(fault, writer, seq, message))


@dataclass(frozen=True, slots=True)
class Witnesses:
    """What is known of a journal beside its rows."""

    checkpoints: Mapping[str, Checkpoint] = field(default_factory=dict)
    """The genuine ones by writer."""
    forged_checkpoints: Sequence[str] = ()
    """Names of those that are not genuine."""
    stubs: Mapping[str, Stub] = field(default_factory=dict)
    forged_stubs: Sequence[str] = ()


def verify(rows: Iterable[Row], witnesses: Witnesses, keys: Keys) -> AuditReport:
    """Reads all rows once.

    Args:
        rows: The journal's rows, those of each writer in the order of their sequence.
        keys: What rows, checkpoints and stubs are sealed with.
    """
    report = AuditReport(cut=sum(stub.head.seq for stub in witnesses.stubs.values()))
    known = witnesses.checkpoints
    chains = _Chains(report, witnesses, keys)
    for row in rows:
        chains.follow(row)
    heads = chains.heads
    report.writers = len(heads)
    ends = {writer: stub.head for writer, stub in witnesses.stubs.items()} | heads
    for writer, checkpoint in known.items():
        _check_reach(report, writer, checkpoint.head, ends.get(writer), "its checkpoint")
    for writer, (head, by) in chains.promised.items():
        if writer not in known:  # else already checked, and further
            _check_reach(report, writer, head, ends.get(writer), f"writer {by}")
    for writer in heads.keys() - known.keys():
        report.add(Fault.MISSING_CHECKPOINT, writer, 0, "the writer has rows but no checkpoint")
    for name in witnesses.forged_checkpoints:
        report.add(Fault.FORGED_CHECKPOINT, name, 0, "the checkpoint's signature does not match its content")
    for writer in witnesses.forged_stubs:
        report.add(Fault.FORGED_STUB, writer, 0, "the stub's signature does not match its content")
    return report


class _Chains:
    """Follows every writer's chain, row by row."""

    def __init__(self, report: AuditReport, witnesses: Witnesses, keys: Keys) -> None:
        self.heads: dict[str, Head] = {}
        self.promised: dict[str, tuple[Head, str]] = {}
        self._report = report
        self._key = keys.rows
        self._stubs = witnesses.stubs
        self._marks = {
            (writer, witness.head.seq): witness.head.hash
            for known in (witnesses.stubs, witnesses.checkpoints)
            for writer, witness in known.items()
        }

    def follow(self, row: Row) -> None:
        report = self._report
        report.rows += 1
        self._check_place(row)
        if not is_sealed(self._key, row):
            report.add(Fault.EDITED_ROW, row.writer, row.seq, "the row's content does not match its seal")
        if self._marks.get((row.writer, row.seq), row.hash) != row.hash:
            report.add(Fault.EDITED_ROW, row.writer, row.seq, "the row is not the one its checkpoint names")
        self.heads[row.writer] = Head(row.seq, row.hash)
        if row.kind == WRITER_OPENED:
            _remember_promises(self.promised, row)

    def _check_place(self, row: Row) -> None:
        before = self.heads.get(row.writer, Head(0, GENESIS))
        stub = self._stubs.get(row.writer)
        if stub is not None:
            if row.seq <= stub.head.seq and not before.seq:
                return  # a cut that is going on has left this one; what was before it may be gone
            if before.seq < stub.head.seq < row.seq:
                before = stub.head
        if row.seq != before.seq + 1:
            missing = row.seq - before.seq - 1
            self._report.add(
                Fault.MISSING_ROWS, row.writer, row.seq, f"{missing} rows before this one are gone"
            )
        elif row.previous_hash != before.hash:
            self._report.add(
                Fault.BROKEN_CHAIN, row.writer, row.seq, "the row does not follow the one before it"
            )


def _remember_promises(promised: dict[str, tuple[Head, str]], row: Row) -> None:
    try:
        heads = json.loads(row.detail)["heads"]
    except (ValueError, KeyError, TypeError):
        return  # an edited row; its seal has told
    for writer, (seq, hash_) in heads.items():
        if writer not in promised or promised[writer][0].seq < seq:
            promised[writer] = (Head(seq, hash_), row.writer)


def _check_reach(report: AuditReport, writer: str, promised: Head, found: Head | None, by: str) -> None:
    if found is None:
        report.add(
            Fault.MISSING_WRITER,
            writer,
            0,
            f"all rows of the writer are gone; {by} names {promised.seq} of them",
        )
    elif found.seq < promised.seq:
        gone = promised.seq - found.seq
        report.add(Fault.DELETED_TAIL, writer, found.seq, f"the last {gone} rows are gone; {by} names them")
