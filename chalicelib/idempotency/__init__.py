"""API calls that must not happen twice: the first answer is kept and given again."""
