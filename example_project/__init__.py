"""A shop whose services only talk in events."""
