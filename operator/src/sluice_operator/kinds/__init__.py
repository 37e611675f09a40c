"""What the operator does for each kind, a folder each."""
