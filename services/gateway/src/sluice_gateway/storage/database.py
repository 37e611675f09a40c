"""The gateway's database, in SQLite on a laptop and in PostgreSQL by URL: the same tables, the same statements."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import Connection, MetaData, create_engine, event, make_url, text
from sqlalchemy.exc import ArgumentError, DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from sluice_servicekit.errors import InvalidArgument, Unavailable

T = TypeVar("T")

#: Every module declares its tables on this.
METADATA = MetaData()

_FILE = "gateway.sqlite"

#: Any number, the same in every replica: one at a time creates tables.
_CREATION_LOCK = 0x51_0C_E5

#: Seconds that a statement may wait for another writer.
_PATIENCE = 10


class Database:
    """Transactions on the gateway's database, each in a thread of a small pool.

    Args:
        url: `postgresql://…`; SQLite in `data_dir` where empty.

    Raises:
        InvalidArgument: the URL is not one of PostgreSQL.
        Unavailable: there is no such server.
    """

    def __init__(self, data_dir: Path, url: str = "", *, workers: int = 4) -> None:
        self.is_postgres = bool(url)
        if self.is_postgres:
            self._engine = create_engine(
                postgres_url(url), pool_size=workers, max_overflow=0, pool_pre_ping=True
            )
        else:
            data_dir.mkdir(parents=True, exist_ok=True)
            self._engine = create_engine(
                f"sqlite:///{data_dir / _FILE}",
                pool_size=workers,
                connect_args={"timeout": _PATIENCE, "check_same_thread": False},
            )
            event.listen(self._engine, "connect", _prepare_sqlite)
            event.listen(self._engine, "begin", _begin_sqlite)
        self._threads = ThreadPoolExecutor(workers, "database")
        self._transaction(self._create)

    async def run(self, work: Callable[[Connection], T]) -> T:
        """What `work` gives, once its transaction is durable.

        Raises:
            Unavailable: the database cannot be reached or written (`DATABASE_UNAVAILABLE`).
        """
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._transaction, work)

    async def scrub(self) -> None:
        """Empties SQLite's write-ahead log, which still holds what has been deleted; nothing in PostgreSQL.

        Tries, and leaves it to the next time where others read or write just now.
        """
        if not self.is_postgres:
            await asyncio.get_running_loop().run_in_executor(self._threads, self._empty_log)

    def close(self) -> None:
        """Waits for what is going on and lets go of the connections."""
        self._threads.shutdown()
        self._engine.dispose()

    def _transaction(self, work: Callable[[Connection], T]) -> T:
        try:
            with self._engine.begin() as connection:
                return work(connection)
        except (DBAPIError, PoolTimeout) as error:
            cause = error.orig if isinstance(error, DBAPIError) else error
            raise Unavailable(
                f"the gateway's database cannot be used: {type(cause).__name__}",
                reason="DATABASE_UNAVAILABLE",
                retry_after=1.0,
            ) from error

    def _empty_log(self) -> None:
        connection = self._engine.raw_connection()
        try:
            cursor = connection.cursor()
            cursor.execute("PRAGMA busy_timeout=100")  # whoever waits for readers here holds up writers
            cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            cursor.execute(f"PRAGMA busy_timeout={_PATIENCE * 1000}")
        finally:
            connection.close()

    def _create(self, connection: Connection) -> None:
        if self.is_postgres:
            connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _CREATION_LOCK})
        METADATA.create_all(connection)


def postgres_url(url: str) -> str:
    """The URL as SQLAlchemy wants it: with the driver's name.

    Raises:
        InvalidArgument: it is not a URL of PostgreSQL. The message holds nothing of it.
    """
    try:
        parsed = make_url(url)
    except ArgumentError:
        parsed = None
    if parsed is None or parsed.get_backend_name() not in ("postgresql", "postgres"):
        raise InvalidArgument("the database's URL must start with postgresql://", field="database_url")
    return parsed.set(drivername="postgresql+psycopg").render_as_string(hide_password=False)


def _prepare_sqlite(connection: Any, _: object) -> None:
    connection.isolation_level = None  # the driver's own BEGIN comes too late for `IMMEDIATE`
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=NORMAL")
    connection.execute("PRAGMA secure_delete=ON")  # a key that is deleted is overwritten


def _begin_sqlite(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")
