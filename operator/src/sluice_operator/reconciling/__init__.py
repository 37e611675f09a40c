"""The one loop: gather, plan, apply, prune, observe, status. Knows no kind."""
