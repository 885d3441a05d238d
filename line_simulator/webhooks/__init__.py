"""Webhooks: the events, their bytes and signatures, and their delivery."""
