"""`Pipeline`: what it refers to, in the snapshot or not, and why."""
