"""Where adapters come from: one module for each kind of source. Each leaves the two files in a sink, and tells what
exactly they were."""
