"""What attacks on a model's instructions look like in words, and a linear-time search for it."""
