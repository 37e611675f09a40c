"""The tables of payloads and of runs' keys."""

from sqlalchemy import BigInteger, Column, Index, LargeBinary, Table, Text, text

from sluice_gateway.storage.database import METADATA

#: A run's key, wrapped. Without its row nothing sealed of the run can ever be read.
RUN_KEYS = Table(
    "payload_keys",
    METADATA,
    Column("tenant", Text, primary_key=True),
    Column("run_id", Text, primary_key=True),
    Column("key_name", Text, nullable=False),
    Column("wrapped", LargeBinary, nullable=False),
    Column(
        "expires", BigInteger, nullable=False, index=True
    ),  # Unix milliseconds; the wrapping is bound to it
)

PAYLOADS = Table(
    "payloads",
    METADATA,
    Column("tenant", Text, primary_key=True),
    Column("run_id", Text, primary_key=True),
    Column("name", Text, primary_key=True),
    Column("mode", Text, nullable=False),
    Column("content", LargeBinary, nullable=False),
    Column("key_name", Text, nullable=False),  # of what is kept in plain; empty where it is sealed
    Column("tag", LargeBinary, nullable=False),
    Column("kept", BigInteger, nullable=False),
)

Index(
    "payloads_in_plain",
    PAYLOADS.c.kept,
    sqlite_where=text("mode = 'full'"),
    postgresql_where=text("mode = 'full'"),
)
