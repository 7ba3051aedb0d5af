"""Measured figures: one module a benchmark, run as `python -m benchmarks.NAME`; each writes results/NAME.json."""
