"""How the embedded ranker's model is fitted, and what it is worth on collections that it was not fitted on."""
