"""Words as the services compare them."""
