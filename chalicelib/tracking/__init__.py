"""Who followed which link and opened which e-mail, and how much that proves."""
