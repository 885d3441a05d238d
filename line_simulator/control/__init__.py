"""The simulator's own interface under /_sim/."""
