"""Knowledge bases on a Qdrant server: one collection for each generation, shared by all replicas of the retriever."""
