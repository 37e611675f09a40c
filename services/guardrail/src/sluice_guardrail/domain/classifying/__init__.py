"""Classifiers: the built-in one, and others from a folder."""
