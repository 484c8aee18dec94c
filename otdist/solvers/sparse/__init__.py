"""Exact transport between large clouds, on the few arcs that matter."""

from __future__ import annotations

import time
from dataclasses import dataclass

from otdist.problem import Problem
from otdist.progress import working
from otdist.result import Result
from otdist.solvers.costs import rounding
from otdist.solvers.merge import Merged


@dataclass(frozen=True)
class Sparse:
    """Exact transport by column generation: few arcs are kept, all pairs are checked.

    Parameters
    ----------
    max_bytes : int, optional
        Memory it may take. None: half of what is free.

    Notes
    -----
    A network simplex solves the problem on about ten arcs a point; where both sides have as many
    points, all of equal mass, and more than two columns, an auction does most of its work. One pass over
    all pairs, which are never held at once, then either proves that no other arc can help or finds those
    that do. It starts from the solution of a copy with half as many points, and so on down to 64.

    Holds for any cost. For "euclidean", "cityblock", "chebyshev" and "sqeuclidean" with p = 1, and
    "euclidean" with p = 2, memory is O((n + m) d + arcs). Other costs are computed once, as a
    matrix of 8 bytes a pair. Cost: a pass is O(n m d), 5 to 15 are needed; pivots grow like n^1.3
    in all, bids like n. Shortlist and column generation: Gottschlich, Schuhmacher (2014); coarse to fine:
    Merigot (2011), Schmitzer (2016); differs in that every round is a certificate.
    """

    max_bytes: int | None = None

    def __call__(self, problem: Problem) -> Result:
        """Solve the problem."""
        start = time.monotonic()
        merged = Merged.of(problem)
        if min(len(merged.a), len(merged.b)) == 0:
            return merged.nothing_moves("sparse", rounding(problem))
        merged = merged.rescaled()
        from otdist.solvers.sparse.setting import Setting  # numba is loaded when it is needed

        setting = Setting.of(merged, self.max_bytes)
        deadline = None if problem.max_seconds is None else start + problem.max_seconds
        with working(problem.progress, "exact transport") as tell:
            return setting.solved(deadline, tell)
