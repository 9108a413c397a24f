"""Grapheme-to-phoneme conversion for Kokoro's languages, with the characters that each word came from."""
