"""The service that knows how much there is of everything."""
