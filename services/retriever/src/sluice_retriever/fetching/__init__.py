"""Documents by URL: whoever may store one names any address, so where a request goes is checked at the socket."""
