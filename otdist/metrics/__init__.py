"""Ground metrics: the cost of moving one unit of mass from one point to another.

A named metric is passed by its name (``metric="cityblock"``); functions of this module make the others:
``metric=otdist.metrics.periodic([360.0, None])``. Any callable of two points works too, at Python's
speed.

Names are case-insensitive, and "manhattan", "taxicab" and "l1" are "cityblock", "l2" is
"euclidean", "linf" and "max" are "chebyshev". Other names of other packages raise an error
with the way to the same distance. "great_circle" is :func:`great_circle` in kilometres.
"""

from otdist.metrics.base import Metric
from otdist.metrics.names import NAMED
from otdist.metrics.sphere import great_circle
from otdist.metrics.tables import mixed
from otdist.metrics.torus import periodic
from otdist.metrics.vectors import minkowski

__all__ = ["NAMED", "Metric", "great_circle", "minkowski", "mixed", "periodic"]
