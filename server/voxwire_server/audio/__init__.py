"""From an engine's float samples to encoded audio frames."""
