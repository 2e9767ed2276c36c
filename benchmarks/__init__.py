"""Measurements: `pytest benchmarks/` runs them, `python -m benchmarks.report` shows them."""
