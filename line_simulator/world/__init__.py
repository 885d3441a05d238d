"""What exists in the simulated LINE, and the time it lives in."""
