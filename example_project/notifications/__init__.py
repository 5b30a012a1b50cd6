"""The service that writes to customers."""
