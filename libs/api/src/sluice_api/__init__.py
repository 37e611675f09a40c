"""Sluice's objects: models of the seven kinds, and their compilation into the runtime snapshot."""
