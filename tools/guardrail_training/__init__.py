"""Trains the guardrail's built-in classifier of attacks, and says what it is worth on sources it has not seen."""
