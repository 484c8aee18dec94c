"""Families of critics, each 1-Lipschitz by construction, and penalised networks for comparison."""
