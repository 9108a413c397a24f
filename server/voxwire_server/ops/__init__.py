"""What operators need: keys, limits, metrics, diagnosis."""
