"""The gateway's database, on SQLite and on a real PostgreSQL."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import text

from sluice_gateway.storage.database import Database
from sluice_servicekit.errors import InvalidArgument, Unavailable
from support.postgres import PostgresServer

BOTH = [pytest.param("sqlite"), pytest.param("postgres", marks=pytest.mark.needs("postgres"))]


@pytest.fixture(params=BOTH)
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    url = request.getfixturevalue("postgres_url") if request.param == "postgres" else ""
    opened = Database(tmp_path, url)
    yield opened
    opened.close()


async def test_transaction_is_whole_or_not_at_all(database: Database) -> None:
    await database.run(lambda connection: connection.execute(text("CREATE TABLE kept (id INTEGER)")))
    with pytest.raises(Unavailable) as caught:
        await database.run(
            lambda connection: [
                connection.execute(text(statement))
                for statement in ("INSERT INTO kept VALUES (1)", "INSERT INTO nowhere VALUES (1)")
            ]
        )
    assert caught.value.reason == "DATABASE_UNAVAILABLE"
    rows = await database.run(lambda connection: connection.execute(text("SELECT id FROM kept")).all())
    assert rows == []


@pytest.mark.needs("postgres")
def test_replicas_that_start_together_create_the_tables_once(tmp_path: Path, postgres_url: str) -> None:
    with ThreadPoolExecutor(8) as pool:
        opened = list(pool.map(lambda _: Database(tmp_path, postgres_url, workers=1), range(8)))
    for database in opened:
        database.close()


@pytest.mark.needs("postgres")
async def test_server_that_goes_and_comes_back(tmp_path: Path, stoppable_postgres: PostgresServer) -> None:
    database = Database(tmp_path, stoppable_postgres.new_database())
    stoppable_postgres.stop()
    with pytest.raises(Unavailable):
        await database.run(lambda connection: connection.execute(text("SELECT 1")))
    stoppable_postgres.start()
    assert await database.run(lambda connection: connection.execute(text("SELECT 1")).scalar_one()) == 1
    database.close()


@pytest.mark.parametrize("url", ["mysql://root:hunter2@127.0.0.1/x", "nonsense hunter2"])
def test_url_of_something_else_is_refused_without_its_password(tmp_path: Path, url: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        Database(tmp_path, url)
    assert "hunter2" not in caught.value.message
