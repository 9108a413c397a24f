"""One client's conversation with the server."""
