"""Turns text of any of Kokoro's languages into its phonemes, and remembers which characters each came from."""
