"""What a policy redacts: placeholders in place of values, and values back in place of placeholders. Pure."""
