"""What the gates decide, free of transport."""
