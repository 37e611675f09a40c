"""The built-in text encoder: its tokenizer, its graph on 8-bit integers, and its forward pass."""
