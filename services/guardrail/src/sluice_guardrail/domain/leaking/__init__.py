"""Parts of the prompt in an answer, however they are dressed up."""
