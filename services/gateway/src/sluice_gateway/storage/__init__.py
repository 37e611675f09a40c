"""Where the gateway keeps what is neither journal nor durable run: one database, SQLite or PostgreSQL."""
