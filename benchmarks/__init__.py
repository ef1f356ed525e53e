"""How fast things are, each measured by one command: `python -m benchmarks.NAME --help`."""
