"""A person's number and the identities that point to it; one person has one number, whatever he is known by."""
