"""Entropic transport: potentials at one regularisation, and sums of exponentials over all pairs."""
