"""Sinkhorn divergences: entropic terms with bounds, and their combination."""
