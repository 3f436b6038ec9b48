"""Speed and memory, measured beside peers in one process. Each module is a command: `python -m benchmarks.NAME`."""
