"""The adapter agents of all pods: one look at each serves all adapters, one load at a time."""
