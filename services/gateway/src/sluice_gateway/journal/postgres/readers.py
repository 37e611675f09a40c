"""Threads that read from PostgreSQL, each on a connection of its own."""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar, TypeVarTuple

import psycopg

from sluice_gateway.journal.postgres.connecting import PASSING, Connection, connect, unavailable

T = TypeVar("T")
Values = TypeVarTuple("Values")


class Readers:
    """A few threads."""

    def __init__(self, url: str, workers: int = 2) -> None:
        self._url = url
        self._threads = ThreadPoolExecutor(workers, "journal-reader")
        self._own = threading.local()
        self._all: list[Connection] = []

    async def read(self, reading: Callable[[Connection, *Values], T], *values: *Values) -> T:
        """What `reading` gives, in one transaction that sees one state of the journal.

        Raises:
            Unavailable: the database is away (`JOURNAL_UNAVAILABLE`).
        """
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._read, reading, *values)

    def close(self) -> None:
        """Waits for what is going on and lets go of the connections."""
        self._threads.shutdown()
        for connection in self._all:
            connection.close()

    def _read(self, reading: Callable[[Connection, *Values], T], *values: *Values) -> T:
        known: Connection | None = getattr(self._own, "connection", None)
        try:
            return self._read_on(known or self._opened(), reading, *values)
        except PASSING as error:
            if known is None:
                raise unavailable(error) from error
        try:  # the server was started again since this thread last read
            return self._read_on(self._opened(), reading, *values)
        except PASSING as error:
            raise unavailable(error) from error

    def _read_on(
        self, connection: Connection, reading: Callable[[Connection, *Values], T], *values: *Values
    ) -> T:
        try:
            with connection.transaction():
                return reading(connection, *values)
        except PASSING:
            connection.close()
            self._all.remove(connection)
            self._own.connection = None
            raise

    def _opened(self) -> Connection:
        connection = connect(self._url)
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        connection.read_only = True
        self._own.connection = connection
        self._all.append(connection)
        return connection
