"""The statuses that the operator writes, a module for each kind; `base` has what all of them share."""
