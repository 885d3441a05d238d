"""Protocols of the outside world, five verbs at most each, and the errors that may come out (kernel/errors.py: PortError)."""
