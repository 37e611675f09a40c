"""Where vectors live: in an embedded engine or on a server."""
