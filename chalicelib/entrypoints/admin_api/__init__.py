"""The admin API: JSON over HTTP, keys with scopes, a document that is made from the code. One file a room."""
