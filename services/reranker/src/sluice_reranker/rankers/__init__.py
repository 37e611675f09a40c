"""The rankers: what each needs, and how it scores."""
