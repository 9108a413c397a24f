"""Kokoro: many voices, many languages. Imports nothing heavy by itself."""
