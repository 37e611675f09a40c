"""What runs work on and give, kept apart from the journal: sealed, in plain, or not at all."""
