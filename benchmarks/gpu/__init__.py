"""Everything that a GPU is to be asked in nine minutes: `make gpu`, or `python3 -m benchmarks.gpu` from the repository.

Each part runs in a process of its own with a limit in seconds; results are written after each.
"""
