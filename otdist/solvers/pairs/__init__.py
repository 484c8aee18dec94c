"""Costs of all pairs of two point sets, never stored, and the compiled loops over them."""
