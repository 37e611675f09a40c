"""What the gateway tells of experiments: how their arms' runs ended, and what that says."""
