"""The journal in one SQLite file."""

from sluice_gateway.journal.places import CHECKPOINTS, KEY
from sluice_gateway.journal.sqlite.journal import DATABASE, SqliteJournal

__all__ = ["CHECKPOINTS", "DATABASE", "KEY", "SqliteJournal"]
