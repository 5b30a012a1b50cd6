"""What can keep the demo from running."""


class DemoError(Exception):
    """The demo can't go on; the text says why, and what to do."""
