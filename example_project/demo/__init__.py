"""The whole shop at one command: `python -m example_project.demo`."""
