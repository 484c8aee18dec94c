"""Public questions, one module each: distances, lines, projections, divergences and unequal masses."""
