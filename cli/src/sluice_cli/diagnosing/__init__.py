"""What `sluice doctor` does: one file for each group of checks. Each gathers facts, then judges them purely."""
