"""Kokoro-82M's weights: where they come from, how they are converted, and the files that the engines read."""
