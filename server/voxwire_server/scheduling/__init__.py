"""Which listener is fed next."""
