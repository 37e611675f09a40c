"""One parser for each kind of file; each gives a title and blocks, or says what is wrong with the file."""
