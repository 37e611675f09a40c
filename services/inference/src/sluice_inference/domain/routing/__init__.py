"""Which replica of a model server gets a request, and when. Pure: times and chance are arguments."""
