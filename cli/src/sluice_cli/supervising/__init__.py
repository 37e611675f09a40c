"""What `sluice up` does: it serves the snapshot, and keeps the processes alive."""
