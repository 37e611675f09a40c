"""Verifies a journal: every row's seal, every chain's order, every checkpoint, every writer."""

import hmac
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from sluice_gateway.journal.chain import GENESIS, WRITER_OPENED, Head, Keys, Row, row_hash
from sluice_gateway.journal.checkpoints import Checkpoint


class Fault(StrEnum):
    """What can be wrong with a journal."""

    EDITED_ROW = "edited-row"
    BROKEN_CHAIN = "broken-chain"
    MISSING_ROWS = "missing-rows"
    DELETED_TAIL = "deleted-tail"
    MISSING_WRITER = "missing-writer"
    MISSING_CHECKPOINT = "missing-checkpoint"
    FORGED_CHECKPOINT = "forged-checkpoint"


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
    findings: list[Finding] = field(default_factory=list)

    @property
    def passed(self) -> bool:
        """True where nothing is wrong."""
        return not self.findings

    def add(self, fault: Fault, writer: str, seq: int, message: str) -> None:
        """Notes a finding."""
        self.findings.append(Finding(fault, writer, seq, message))


def verify(
    rows: Iterable[Row], known: Mapping[str, Checkpoint], forged: Iterable[str], keys: Keys
) -> AuditReport:
    """Reads all rows once, ordered by writer and sequence.

    Args:
        rows: The journal's rows.
        known: The genuine checkpoints by writer.
        forged: Names of checkpoint files that are not genuine.
        keys: What rows and checkpoints are sealed with.
    """
    report = AuditReport()
    heads: dict[str, Head] = {}
    promised: dict[str, tuple[Head, str]] = {}
    marks = {(writer, checkpoint.head.seq): checkpoint.head.hash for writer, checkpoint in known.items()}
    for row in rows:
        report.rows += 1
        before = heads.get(row.writer, Head(0, GENESIS))
        _check_row(report, row, before, keys)
        if marks.get((row.writer, row.seq), row.hash) != row.hash:
            report.add(Fault.EDITED_ROW, row.writer, row.seq, "the row is not the one its checkpoint names")
        heads[row.writer] = Head(row.seq, row.hash)
        if row.kind == WRITER_OPENED:
            _remember_promises(promised, row)
    report.writers = len(heads)
    for writer, checkpoint in known.items():
        _check_reach(report, writer, checkpoint.head, heads.get(writer), "its checkpoint")
    for writer, (head, by) in promised.items():
        if writer not in known:  # else already checked, and further
            _check_reach(report, writer, head, heads.get(writer), f"writer {by}")
    for writer in heads.keys() - known.keys():
        report.add(Fault.MISSING_CHECKPOINT, writer, 0, "the writer has rows but no checkpoint")
    for name in forged:
        report.add(Fault.FORGED_CHECKPOINT, name, 0, "the checkpoint's signature does not match its content")
    return report


def _check_row(report: AuditReport, row: Row, before: Head, keys: Keys) -> None:
    if row.seq != before.seq + 1:
        missing = row.seq - before.seq - 1
        report.add(Fault.MISSING_ROWS, row.writer, row.seq, f"{missing} rows before this one are gone")
    elif row.previous_hash != before.hash:
        report.add(Fault.BROKEN_CHAIN, row.writer, row.seq, "the row does not follow the one before it")
    if not hmac.compare_digest(row_hash(keys.rows, row), row.hash):
        report.add(Fault.EDITED_ROW, row.writer, row.seq, "the row's content does not match its seal")


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
