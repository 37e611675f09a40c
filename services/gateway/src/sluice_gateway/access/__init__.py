"""Who may ask, at the edges: tokens of an identity provider, keys and the file that holds them."""
