"""Comparison of two tables: distances and tests of each column and of whole rows."""

from otdist.tables.compare import compare
from otdist.tables.comparison import ColumnReport, Comparison, DependenceReport, JointReport
from otdist.tables.gate import Gate

__all__ = ["ColumnReport", "Comparison", "DependenceReport", "Gate", "JointReport", "compare"]
