"""The parts of `bench/operate.py`: a world with an API server, pods and an operator, its stages, the report."""
