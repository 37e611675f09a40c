"""The journal: every step and every gate's decision, in a keyed chain that shows tampering."""
