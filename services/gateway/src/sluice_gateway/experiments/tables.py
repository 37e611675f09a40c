"""The tables of experiments, and writing a row over the one that was there."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import BigInteger, Column, Connection, Double, Index, Integer, Table, Text
from sqlalchemy.dialects import postgresql, sqlite

from sluice_gateway.storage.database import METADATA

#: What became of an arm's runs in one stretch of time, as one replica has counted it. A replica writes only its own
#: rows, each whole: replicas never wait for each other, and a write that is repeated counts nothing twice.
OUTCOMES = Table(
    "experiment_outcomes",
    METADATA,
    Column("experiment", Text, primary_key=True),
    Column("arm", Text, primary_key=True),
    Column("model_name", Text, primary_key=True),
    Column("since", BigInteger, primary_key=True),  # the stretch's start, in Unix seconds
    Column("replica", Text, primary_key=True),
    Column("outcomes", Text, nullable=False),
)

#: The last rating that each subject gave of a run.
FEEDBACK = Table(
    "feedback",
    METADATA,
    Column("run_id", Text, primary_key=True),
    Column("subject", Text, primary_key=True),  # hashed
    Column("tenant", Text, nullable=False),
    Column("experiment", Text, nullable=False),  # empty where the run counts in none
    Column("arm", Text, nullable=False),
    Column("model_name", Text, nullable=False),
    Column("started", Double, nullable=False),  # when the run did, in Unix seconds
    Column("unit_bucket", Integer, nullable=False),
    Column("rating", Double, nullable=False),
    Column("labels", Text, nullable=False),
    Column("comment_hash", Text, nullable=False),
    Index("feedback_of_experiment", "experiment", "started"),
)


def put(connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Writes rows, each in the place of the one with its key."""
    insert = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    statement = insert(table)
    keys = [column.name for column in table.primary_key]
    others = {
        column.name: statement.excluded[column.name] for column in table.columns if column.name not in keys
    }
    connection.execute(statement.on_conflict_do_update(index_elements=keys, set_=others), rows)
