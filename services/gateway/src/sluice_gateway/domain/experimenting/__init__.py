"""Experiments: which arm a run goes to, what became of the runs of each arm, and what the arms' difference says."""
