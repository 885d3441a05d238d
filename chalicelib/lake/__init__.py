"""The lake: everything that conditions ask about a million people, as columns on S3, a minute behind the tables."""
