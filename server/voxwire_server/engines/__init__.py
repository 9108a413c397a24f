"""Models that speak, behind one interface."""
