"""Requests to addresses that others name: where each one goes is checked at the socket. Needs the extra `fetching`."""
