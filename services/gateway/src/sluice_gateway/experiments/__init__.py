"""Statistics of experiments' arms and feedback, kept in the gateway's database."""
