"""How much tenants and keys may ask for: rates, budgets, runs at once. Pure."""
