"""Friends: who added which LINE account, and whether he can be reached there now."""
