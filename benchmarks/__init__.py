"""Benchmarks: scripts, and packages that they and the tests share; `python3 -m benchmarks.gpu` runs from a checkout."""
