"""Answers that are given again: what a request is the same as, what is kept, and who may be given it."""
