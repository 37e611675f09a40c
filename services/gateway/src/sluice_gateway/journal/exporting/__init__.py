"""The journal as a file for other programs."""
