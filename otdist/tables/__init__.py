"""Two tables compared: how far each column moved, and all of them together."""

from otdist.tables.compare import compare
from otdist.tables.comparison import ColumnReport, Comparison, DependenceReport, JointReport
from otdist.tables.gate import Gate

__all__ = ["ColumnReport", "Comparison", "DependenceReport", "Gate", "JointReport", "compare"]
