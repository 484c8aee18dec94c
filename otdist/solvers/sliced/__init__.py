"""Distances between projections on directions, their gradients and their results."""
