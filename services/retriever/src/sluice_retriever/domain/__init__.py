"""What a knowledge base is and does; knows no transport and no engine."""
