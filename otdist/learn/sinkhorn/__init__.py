"""Sinkhorn divergences of tensors: potentials, derivatives, tiles and processes."""
