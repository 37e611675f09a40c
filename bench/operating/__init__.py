"""The parts of `bench/operate.py`: a world with an API server, pods and an operator; what is measured in it; the report."""
