"""Who may call the admin API: keys with scopes, of which only the hash is kept."""
