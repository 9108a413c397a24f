"""Decides which synthesis requests are stepped next and together, which streams are admitted, and runs the steps."""
