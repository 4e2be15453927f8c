"""The parts of `benchmarks/reproduce.py`: data and weights, one module a kind of table, and the page."""
