"""Phrases of questions that say what is looked for: dates, numbers, and names of fields beside them."""
