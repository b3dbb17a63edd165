"""Which source model adapts best to a new detector: the truth, and every score against it."""
