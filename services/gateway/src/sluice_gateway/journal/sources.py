"""The journal to audit or export, wherever it is."""

from pathlib import Path

from sluice_gateway.journal import checkpoints, stubs
from sluice_gateway.journal.chain import Keys
from sluice_gateway.journal.checkpoints import Checkpoint
from sluice_gateway.journal.places import CHECKPOINTS
from sluice_gateway.journal.postgres.source import PostgresSource
from sluice_gateway.journal.selection import Selection, Source
from sluice_gateway.journal.signing import ForgedError
from sluice_gateway.journal.sqlite import DATABASE
from sluice_gateway.journal.sqlite.source import SqliteSource
from sluice_gateway.journal.verifying import AuditReport, Witnesses, verify
from sluice_servicekit.errors import FailedPrecondition


def open_source(data_dir: Path, url: str = "") -> Source:
    """The rows, in PostgreSQL where there is a URL, else in the data folder.

    Raises:
        FailedPrecondition: there is no journal, or it cannot be read.
        Unavailable: there is no such server.
    """
    if url:
        return PostgresSource(url)
    if not (data_dir / DATABASE).exists():
        raise FailedPrecondition(f"there is no journal in {data_dir}")
    return SqliteSource(data_dir / DATABASE)


def verified(data_dir: Path, keys: Keys, url: str = "") -> AuditReport:
    """Verifies the whole journal.

    Args:
        data_dir: Has the exported checkpoints, of this replica at least.

    Raises:
        FailedPrecondition: there is no journal, or it cannot be read.
        Unavailable: there is no such server.
    """
    folder = data_dir / CHECKPOINTS
    # Checkpoints first: rows written meanwhile then only make chains longer, never shorter than promised.
    exported, forged = checkpoints.read_all(folder, keys.checkpoints)
    if not url and folder.exists() and not (data_dir / DATABASE).exists():
        return verify((), Witnesses(exported, forged), keys)
    source = open_source(data_dir, url)
    try:
        stored, forged_rows = _stored(source, keys)
        cut, forged_stubs = stubs.read_all(keys.stubs, source.stubs())
        witnesses = Witnesses(
            checkpoints.furthest(exported, stored), [*forged, *forged_rows], cut, forged_stubs
        )
        return verify(source.rows(Selection()), witnesses, keys)
    finally:
        source.close()


def _stored(source: Source, keys: Keys) -> tuple[dict[str, Checkpoint], list[str]]:
    """The checkpoints in the database, and the writers of those that are forged."""
    found: dict[str, Checkpoint] = {}
    forged: list[str] = []
    for writer, text in source.checkpoints():
        try:
            checkpoint = checkpoints.decoded(keys.checkpoints, text)
        except ForgedError:
            forged.append(writer)
            continue
        if checkpoint.writer == writer:
            found[writer] = checkpoint
        else:
            forged.append(writer)
    return found, forged
