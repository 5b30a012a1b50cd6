"""A site for each peer: how it publishes, what its worker runs, and which processes it has."""
