"""How answers are made from passages; knows no transport."""
