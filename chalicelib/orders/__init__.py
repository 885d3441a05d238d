"""Purchases, each counted once, and what they add up to."""
