"""How much of a distance is sampling noise."""

from otdist.stats.null import NoiseFloor, NullTest, noise_floor, permutation_test

__all__ = ["NoiseFloor", "NullTest", "noise_floor", "permutation_test"]
