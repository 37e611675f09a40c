"""Which model writes a run's answer: the pipeline's, an adapter of its server, or an experiment's arm."""
