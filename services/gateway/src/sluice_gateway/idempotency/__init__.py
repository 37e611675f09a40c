"""Requests that are sent again under one key: the first one's result, whichever replica is asked."""
