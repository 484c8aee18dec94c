"""Ground metrics: what it costs to move one unit of mass from one point to another.

A named metric is given by its name (``metric="cityblock"``); the others are made here and
handed over: ``metric=otdist.metrics.periodic([360.0, None])``. Any callable of two points works
too, at Python's speed.
"""

from otdist.metrics.base import Metric
from otdist.metrics.tables import mixed
from otdist.metrics.torus import periodic
from otdist.metrics.vectors import NAMED, minkowski

__all__ = ["NAMED", "Metric", "minkowski", "mixed", "periodic"]
