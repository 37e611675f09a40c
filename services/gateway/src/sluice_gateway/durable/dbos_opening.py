"""What DBOS is opened with: its database, its configuration, and what it says in the log."""

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from dbos import DBOSConfig
from dbos._serialization import DBOSPortableJSONSerializer
from sqlalchemy import event

from sluice_gateway.storage.database import postgres_url

_THREADS = 16

#: Seconds that a server has to take a connection.
_PATIENCE = 5


@dataclass(frozen=True, slots=True)
class EngineSettings:
    """What an engine is opened with."""

    file: Path
    """SQLite's."""
    database_url: str
    """PostgreSQL's, which is used in its place where it is not empty."""
    executor: str
    version: str
    """Of the runs' definition: only what was recorded by the same version is executed further as it is."""
    max_runs: int
    """Runs that go on at the same time here; more wait in the queue."""


def config(settings: EngineSettings, engine: sa.Engine) -> DBOSConfig:
    """DBOS's configuration: portable JSON in place of pickle, polling in place of notifications, our log."""
    logger = logging.getLogger("dbos")
    # Without a handler it would give itself one that writes to the console, in a form of its own.
    logger.addHandler(logging.NullHandler())
    logger.addFilter(_quiet)
    return {
        "name": "sluice-gateway",
        "system_database_url": engine.url.render_as_string(hide_password=False),
        "system_database_engine": engine,
        "application_version": settings.version,
        "executor_id": settings.executor,
        "serializer": DBOSPortableJSONSerializer(),
        "use_listen_notify": False,  # polling alone works behind a pooler of connections
        "max_executor_threads": _THREADS,
        "notification_listener_polling_interval_sec": 0.1,  # nothing is notified; closing waits for it
        "log_level": "WARNING",
    }


def database(settings: EngineSettings) -> sa.Engine:
    """The database's engine.

    Raises:
        OperationalError: there is no such server.
    """
    if settings.database_url:
        engine = sa.create_engine(
            postgres_url(settings.database_url),
            pool_size=_THREADS // 2,
            max_overflow=2,
            pool_pre_ping=True,
            connect_args={"connect_timeout": _PATIENCE},
        )
        # Here, in a thread: DBOS would look for a server that is away on the loop, and hold up every answer.
        engine.connect().close()
        return engine
    settings.file.parent.mkdir(parents=True, exist_ok=True)
    engine = sa.create_engine(f"sqlite:///{settings.file}", pool_size=_THREADS // 2)
    event.listen(engine, "connect", _prepare_sqlite)
    return engine


def _prepare_sqlite(connection: Any, _: object) -> None:
    # As DBOS prepares those that it opens itself, and without a sync for every commit.
    connection.isolation_level = "IMMEDIATE"
    connection.execute("PRAGMA busy_timeout=30000")
    connection.execute("PRAGMA foreign_keys=ON")
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=NORMAL")


def _quiet(record: logging.LogRecord) -> bool:
    """Leaves out that an execution was stopped, which DBOS takes for an error."""
    return not str(record.msg).startswith(
        ("Exception encountered in asynchronous workflow", "Asyncio task cancelled")
    )
