"""Keyword stores: a leg of its own beside the vectors, which gives nothing but ids of points."""
