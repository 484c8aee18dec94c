"""Accuracy against cost: problems with known answers."""
