"""What the gateway keeps: journal, database, payloads; in `data_dir`, or in PostgreSQL by URL."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from sluice_gateway.journal.opened import open_journal
from sluice_gateway.journal.port import Journal
from sluice_gateway.payloads import keys as payload_keys
from sluice_gateway.payloads.port import PayloadStore
from sluice_gateway.payloads.store import StoredPayloads
from sluice_gateway.payloads.sweeping import Sweeper
from sluice_gateway.settings import GatewaySettings
from sluice_gateway.storage.database import Database


@dataclass(frozen=True, slots=True)
class Stores:
    """All of them."""

    journal: Journal
    database: Database
    payloads: PayloadStore


@asynccontextmanager
async def opened(settings: GatewaySettings) -> AsyncIterator[Stores]:
    """The stores, for the length of the block; what is due in them is swept meanwhile."""
    url = settings.database_url.get_secret_value()
    async with AsyncExitStack() as stack:
        journal = open_journal(
            url,
            settings.data_dir,
            settings.instance,
            key_file=settings.journal_key_file,
            synchronous=settings.journal_synchronous,
            capacity=settings.journal_capacity,
            retention_days=settings.journal_retention_days,
        )
        stack.callback(journal.close)
        database = Database(settings.data_dir, url)
        stack.callback(database.close)
        wrapping = payload_keys.load_or_create(
            settings.payload_key_file or settings.data_dir / payload_keys.KEY
        )
        await stack.enter_async_context(Sweeper(database, settings.journal_retention_days).sweeping())
        yield Stores(journal, database, StoredPayloads(database, wrapping))
