"""`LoRAAdapter`: resolved, placed, loaded, in rotation, drained."""
