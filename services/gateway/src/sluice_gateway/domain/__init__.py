"""The run: its steps, its states and its rules; knows no transport and no storage."""
