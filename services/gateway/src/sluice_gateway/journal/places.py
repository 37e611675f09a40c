"""Where a journal keeps what lies outside its database, below the data folder."""

CHECKPOINTS = "checkpoints"
KEY = "journal.key"
