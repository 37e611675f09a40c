"""Group `store`, what lies in the data folder: the journal with its key, and the knowledge bases."""

import sqlite3
import stat
import time
from dataclasses import dataclass
from pathlib import Path

from sluice_cli.diagnosing.findings import Check, Finding, failed, ok, warning
from sluice_cli.diagnosing.store import GROUP
from sluice_cli.diagnosing.subject import Subject
from sluice_cli.supervising.plan import GATEWAY

#: Seconds for SQLite's own check of one file: it reads all of it.
_CHECK_SECONDS = 15.0
#: Instructions of SQLite's between two looks at the clock.
_STEPS = 100_000

_KEY_BYTES = 32


@dataclass(frozen=True)
class DatabaseFacts:
    """A SQLite file."""

    path: Path
    exists: bool
    problem: str = ""
    finished: bool = True
    """False where the check was given up, since it took too long."""


@dataclass(frozen=True)
class KeyFacts:
    """The journal's key."""

    path: Path
    mode: int | None
    """None where there is no such file."""
    size: int = 0


@dataclass(frozen=True)
class KnowledgeFacts:
    """A knowledge base's folder."""

    name: str
    folder: Path
    shard: bool
    register: DatabaseFacts


def checks(subject: Subject) -> list[Check]:
    """What to look at."""
    gateway = subject.layout.of(GATEWAY)
    journal = gateway / "journal.sqlite"
    key = subject.environments[GATEWAY].path("SLUICE_JOURNAL_KEY_FILE") or gateway / "journal.key"
    knowledge = subject.layout.of("retriever") / "knowledge"
    return [
        Check(GROUP, "journal", lambda: [judge_journal(inspect(journal, "journal"))]),
        Check(GROUP, "journal key", lambda: [judge_key(_key(key), journal.exists())]),
        Check(
            GROUP,
            "knowledge bases",
            lambda: [_knowledge(knowledge / name) for name in _names(knowledge, subject)],
        ),
    ]


def inspect(path: Path, table: str) -> DatabaseFacts:
    """SQLite's quick check, without a trace in the folder."""
    if not path.exists():
        return DatabaseFacts(path, exists=False)
    # A file that nobody has open has no WAL. Opened as others are, it would get one, and of another user's perhaps.
    mode = "mode=ro" if path.with_name(f"{path.name}-wal").exists() else "mode=ro&immutable=1"
    deadline = time.monotonic() + _CHECK_SECONDS
    try:
        connection = sqlite3.connect(f"{path.absolute().as_uri()}?{mode}", uri=True, timeout=5)
        try:
            connection.set_progress_handler(lambda: time.monotonic() > deadline, _STEPS)
            problem = str(connection.execute("PRAGMA quick_check(1)").fetchone()[0])
            known = connection.execute("SELECT 1 FROM sqlite_master WHERE name = ?", (table,)).fetchone()
        finally:
            connection.close()
    except sqlite3.OperationalError as error:
        if "interrupted" in str(error):
            return DatabaseFacts(path, exists=True, finished=False)
        return DatabaseFacts(path, exists=True, problem=str(error))
    except sqlite3.Error as error:
        return DatabaseFacts(path, exists=True, problem=str(error))
    if problem == "ok":
        problem = "" if known else f"it holds no table {table!r}"
    return DatabaseFacts(path, exists=True, problem=problem)


def judge_journal(facts: DatabaseFacts) -> Finding:
    """Whether the journal can be read."""
    if not facts.exists:
        return ok("journal", "is made at the first start")
    if facts.problem:
        folder = facts.path.parent
        remedy = (
            f"stop `sluice up` and put {folder} back from a backup, or move it away to begin a new journal"
        )
        return failed("journal", f"{facts.path} is damaged: {facts.problem}", remedy)
    return _whole("journal", facts, "SQLite finds nothing wrong")


def judge_key(facts: KeyFacts, journal: bool) -> Finding:
    """Whether the gateway takes the key, and the journal's rows can be checked with it."""
    if facts.mode is None:
        if not journal:
            return ok("journal key", "is made at the first start")
        remedy = "put it back from a backup; a new one is made otherwise, and `sluice audit verify` fails from then on"
        return failed("journal key", f"there is a journal, and its key {facts.path} is missing", remedy)
    if facts.mode & (stat.S_IWGRP | stat.S_IRWXO):
        return failed("journal key", f"others may read {facts.path}", f"chmod 600 {facts.path}")
    if facts.size < _KEY_BYTES:
        remedy = "put it back from a backup"
        return failed("journal key", f"{facts.path} is shorter than {_KEY_BYTES} bytes", remedy)
    return ok("journal key", f"{facts.path} is its owner's alone")


def judge_knowledge(facts: KnowledgeFacts) -> Finding:
    """Whether a knowledge base has both its halves."""
    check = f"knowledge base {facts.name}"
    if not facts.shard and not facts.register.exists:
        return ok(check, "is made at the first start")
    again = f"stop `sluice up` and put {facts.folder} back from a backup, or remove it and ingest the documents again"
    if facts.register.problem:
        return failed(check, f"{facts.register.path} is damaged: {facts.register.problem}", again)
    if not facts.register.exists:
        return failed(
            check, f"its register {facts.register.path} is missing: no document would be found", again
        )
    if not facts.shard:
        return failed(
            check, f"its shard {facts.folder / 'shard'} is missing: no document would be found", again
        )
    return _whole(check, facts.register, "register and shard are there, SQLite finds nothing wrong")


def _whole(check: str, facts: DatabaseFacts, detail: str) -> Finding:
    if facts.finished:
        return ok(check, detail)
    remedy = f"check it by hand: sqlite3 {facts.path} 'PRAGMA quick_check'"
    return warning(check, f"opens, and was not checked to its end within {_CHECK_SECONDS:.0f} s", remedy)


def _key(path: Path) -> KeyFacts:
    try:
        found = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return KeyFacts(path, None)
    return KeyFacts(path, found.st_mode, found.st_size)


def _knowledge(folder: Path) -> Finding:
    register = inspect(folder / "register.sqlite", "writes")
    return judge_knowledge(KnowledgeFacts(folder.name, folder, (folder / "shard").is_dir(), register))


def _names(knowledge: Path, subject: Subject) -> list[str]:
    there = (
        {folder.name for folder in knowledge.iterdir() if folder.is_dir()} if knowledge.is_dir() else set()
    )
    return sorted(there | set(subject.snapshot.knowledge_bases if subject.snapshot is not None else ()))
