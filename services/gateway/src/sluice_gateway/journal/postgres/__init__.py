"""The journal in PostgreSQL, shared by all replicas."""

from sluice_gateway.journal.postgres.journal import PostgresJournal

__all__ = ["PostgresJournal"]
