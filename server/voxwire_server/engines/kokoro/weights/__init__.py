"""Kokoro's files: where they come from, what is in them, how they are read."""
