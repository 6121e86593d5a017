"""A drawn world that `benchmarks/imagine.py` learns: no street of a renderer, but two cores learn it in minutes."""
