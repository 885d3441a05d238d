"""Ways to fail on purpose."""
