"""What writes answers, behind one protocol."""
