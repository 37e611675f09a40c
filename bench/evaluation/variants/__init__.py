"""Thirty ways to dress an attack, as labelled cases: seeds written by hand, disguises put on by machine."""
