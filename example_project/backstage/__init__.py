"""A look behind the scenes: which services are up, what waits for them, what they did."""
