"""Documents into chunks: parsed and cut in worker processes of their own, since a file may be anything."""
