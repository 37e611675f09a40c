"""Recognisers of personal data, one family to a file. All work is linear in the text."""
