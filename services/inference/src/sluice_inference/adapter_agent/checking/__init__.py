"""What is checked of an adapter before vLLM is asked to load it; knows files and numbers, no network."""
