"""The soak: the library under load, its processes and servers failing all the time."""
