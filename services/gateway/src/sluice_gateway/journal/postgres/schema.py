"""The journal's tables in PostgreSQL."""

from sluice_gateway.journal.chain import Row
from sluice_gateway.journal.postgres.connecting import Connection
from sluice_servicekit.errors import FailedPrecondition

#: A row's columns, in its fields' order. Every column has a name that needs no quotes.
COLUMNS = ", ".join(f"journal.{name}" for name in Row._fields)

#: Locks that all replicas know: any numbers of our own.
SCHEMA_LOCK, CHANGES_LOCK, RETENTION_LOCK = 0x51_0C_01, 0x51_0C_02, 0x51_0C_03

_VERSION = 1

# `day` says where a row lies, and is no part of its seal. A writer's days never go back, so a day that is dropped cuts
# the start of its chain and nothing else. It has to be in the primary key; the same row again has the same day, so the
# key still tells that it is there.
#
# `journal_changes` gives the starts and ends of runs an order, and finds a run's rows among the days. Positions come
# from a sequence, which alone would show 8 before 7 where 7 commits later. So writers take CHANGES_LOCK until their
# commit: positions become visible in their order, and a reader that remembers the last one misses nothing.
_SCHEMA = """
CREATE TABLE journal (
    day date NOT NULL, writer text COLLATE "C" NOT NULL, seq bigint NOT NULL,
    run_id text COLLATE "C" NOT NULL, tenant text NOT NULL, kind text NOT NULL, at double precision NOT NULL,
    pipeline text NOT NULL, step text NOT NULL, attempt bigint NOT NULL, state text NOT NULL,
    decision text NOT NULL, reason text NOT NULL, detail text NOT NULL,
    input_hash text NOT NULL, output_hash text NOT NULL, previous_hash text NOT NULL, hash text NOT NULL,
    PRIMARY KEY (writer, seq, day)
) PARTITION BY RANGE (day);
CREATE INDEX journal_of_run ON journal (run_id);
CREATE TABLE journal_changes (
    position bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, tenant text NOT NULL,
    run_id text COLLATE "C" NOT NULL, kind text NOT NULL,
    day date NOT NULL, writer text COLLATE "C" NOT NULL, seq bigint NOT NULL, UNIQUE (run_id, kind)
);
CREATE INDEX journal_changes_of_tenant ON journal_changes (tenant, position);
CREATE INDEX journal_changes_starts ON journal_changes (tenant, run_id) WHERE kind = 'run_started';
CREATE INDEX journal_changes_of_writer ON journal_changes (writer, seq);
CREATE TABLE journal_checkpoints (writer text COLLATE "C" PRIMARY KEY, checkpoint text NOT NULL)
    WITH (fillfactor = 50);
CREATE TABLE journal_leases (
    writer text COLLATE "C" PRIMARY KEY, holder text NOT NULL, expires timestamptz NOT NULL,
    closed boolean NOT NULL DEFAULT false
);
CREATE TABLE journal_stubs (writer text COLLATE "C" PRIMARY KEY, stub text NOT NULL);
CREATE TABLE journal_meta (version integer NOT NULL, key_name text NOT NULL);
INSERT INTO journal_meta VALUES (%s, %s);
"""


def exists(connection: Connection) -> bool:
    """True where the database holds a journal."""
    found = connection.execute("SELECT to_regclass('journal_meta') IS NOT NULL").fetchone()
    return bool(found and found[0])


def prepare(connection: Connection, key_name: str) -> None:
    """Makes the tables where there are none.

    Raises:
        FailedPrecondition: the journal that is there was sealed with another key, or by a newer version.
    """
    with connection.transaction():
        connection.execute("SELECT pg_advisory_xact_lock(%s)", (SCHEMA_LOCK,))
        if not exists(connection):
            *tables, meta = [part for part in _SCHEMA.split(";") if part.strip()]
            for table in tables:
                connection.execute(table)
            connection.execute(meta, (_VERSION, key_name))
        version, known = connection.execute("SELECT version, key_name FROM journal_meta").fetchone() or (
            0,
            "",
        )
    if version != _VERSION:
        raise FailedPrecondition(
            f"the journal in the database is of version {version}, and this gateway knows {_VERSION}"
        )
    if known != key_name:
        raise FailedPrecondition(
            "the journal in the database is sealed with another key; name the one that all replicas share in "
            "SLUICE_JOURNAL_KEY_FILE",
            reason="JOURNAL_KEY_UNKNOWN",
        )
