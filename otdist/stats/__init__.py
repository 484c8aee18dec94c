"""Permutation tests and noise floors of Wasserstein distances."""

from otdist.stats.null import NoiseFloor, NullTest, noise_floor, permutation_test

__all__ = ["NoiseFloor", "NullTest", "noise_floor", "permutation_test"]
