"""A corpus of attacks and of harmless texts that look like them, generated from grammars of our own.

Written for this project, from knowledge of how such attacks work; no row of a public set is in it.
"""
