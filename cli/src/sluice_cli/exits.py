"""Exit codes: they mean the same in every command."""

OK = 0
"""Done; a question was answered."""
FAILED = 1
"""Something did not work: a service cannot be reached, a run failed, a check did not pass."""
USAGE = 2
"""What was given is wrong: an option, a file, an object, a configuration."""
BLOCKED = 3
"""A gate ended the run."""
INTERRUPTED = 130
"""Ctrl-C, as shells say it."""
