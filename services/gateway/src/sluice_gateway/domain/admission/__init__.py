"""Which runs may start now: an adaptive limit, priorities, fair shares. Pure but for its metrics."""
