"""A drawn world that `benchmarks/imagine.py` learns: no renderer's streets, but one core learns it in an hour."""
