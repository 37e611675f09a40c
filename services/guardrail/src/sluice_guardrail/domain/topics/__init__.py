"""Subjects by examples."""
