"""Two tables compared: how far each column moved, and all of them together."""

from otdist.tables.compare import compare
from otdist.tables.comparison import ColumnReport, Comparison, JointReport

__all__ = ["ColumnReport", "Comparison", "JointReport", "compare"]
