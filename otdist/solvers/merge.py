"""Before a solver runs: duplicates become one point, and common mass stays where it is."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from otdist.bounds import northwest
from otdist.problem import Problem, scale_exponent
from otdist.result import Result
from otdist.solvers.answer import least, make_result

Array = NDArray[np.float64]
Index = NDArray[np.intp]
Cells = tuple[Index, Index, Array]


@dataclass(frozen=True, eq=False)
class Merged:
    """A smaller problem with the same answer, and the way back.

    Attributes
    ----------
    problem : Problem
        The original.
    sources, sinks : ndarray
        One row of ``problem.x`` (``problem.y``) for each point that remains.
    a, b : ndarray
        Masses that remain.
    group_x, group_y : ndarray or None
        For each row of x (y) the location it lies at; None when every row is a point of its own.
    at_x, at_y : ndarray
        Location of each remaining point.
    shared : ndarray
        Mass that stays, for each location.
    """

    problem: Problem
    sources: Index
    sinks: Index
    a: Array
    b: Array
    group_x: Index | None = None
    group_y: Index | None = None
    at_x: Index | None = None
    at_y: Index | None = None
    shared: Array | None = None

    @classmethod
    def of(cls, problem: Problem) -> Merged:
        """Merge points that coincide; cancel what both sides have there (metrics, p = 1).

        Notes
        -----
        By Kantorovich-Rubinstein duality W1 depends on a - b only, so mass that both sides
        have at one place need not move. For other costs that is false, unless the two sides are
        the same; only the rows of each side are merged.
        """
        n, m = len(problem.x), len(problem.y)
        first = np.concatenate([problem.x[:, 0], problem.y[:, 0]])
        first.sort()
        if not (first[1:] == first[:-1]).any():  # no ties in one column: no point stands twice
            return cls(problem, np.arange(n), np.arange(m), problem.a, problem.b)
        order, location = _locations(problem)
        from_x = order < n
        count = int(location[-1]) + 1
        mass = np.concatenate([problem.a, problem.b])[order]
        at_a = np.bincount(location[from_x], mass[from_x], count)
        at_b = np.bincount(location[~from_x], mass[~from_x], count)
        group = np.empty(n + m, dtype=np.intp)
        group[order] = location
        shared = np.zeros(count)
        same = problem.metric.pairs is not None and np.array_equal(at_a, at_b)
        if same or (problem.metric.triangle and problem.p == 1):
            shared = np.minimum(at_a, at_b)
        at_x, at_y = np.flatnonzero(at_a > shared), np.flatnonzero(at_b > shared)
        row_of = np.zeros(count, dtype=np.intp)
        row_of[group[:n]] = np.arange(n)
        col_of = np.zeros(count, dtype=np.intp)
        col_of[group[n:]] = np.arange(m)
        rest_a, rest_b = (at_a - shared)[at_x], (at_b - shared)[at_y]
        return cls(
            problem, row_of[at_x], col_of[at_y], rest_a, rest_b, group[:n], group[n:], at_x, at_y, shared
        )

    def rescaled(self) -> Merged:
        """Scale the points so that costs between those that remain neither over- nor underflow."""
        problem = self.problem
        if problem.metric.degree is None:
            return self
        x, y = problem.x[self.sources], problem.y[self.sinks]
        low, high = min(x.min(), y.min()), max(x.max(), y.max())
        exponent = scale_exponent(max(abs(low), abs(high)), problem.p)
        return replace(self, problem=problem.rescaled(exponent))

    def nothing_moves(self, method: str, unsure: float) -> Result:
        """Answer a problem whose mass is all in place; ``unsure``: what rounding may have changed."""
        empty = np.empty(0, dtype=np.intp), np.empty(0, dtype=np.intp), np.empty(0)
        return make_result(
            self.problem,
            method,
            (0.0, 0.0, unsure),
            plan=partial(self.full_plan, *empty),
            potentials=partial(self.full_potentials, np.empty(0), np.empty(0)),
            message="Both samples carry the same mass everywhere.",
        )

    def full_plan(self, rows: Index, cols: Index, mass: Array) -> Cells:
        """Give the cells of the small problem's plan back to the rows of the original."""
        if self.group_x is None or self.group_y is None or self.shared is None:
            return rows, cols, mass
        assert self.at_x is not None and self.at_y is not None
        stay = np.flatnonzero(self.shared)
        start = np.concatenate([self.at_x[rows], stay])
        end = np.concatenate([self.at_y[cols], stay])
        mass = np.concatenate([mass, self.shared[stay]])
        i, cell, mass = _dealt(self.group_x, self.problem.a, start, mass)
        j, part, mass = _dealt(self.group_y, self.problem.b, end[cell], mass)
        return i[part], j, mass

    def full_potentials(self, f: Array, g: Array) -> tuple[Array, Array]:
        """Extend potentials of the remaining points to all rows."""
        problem = self.problem
        if self.group_x is None or self.group_y is None or self.shared is None:
            return f, g
        assert self.at_x is not None and self.at_y is not None
        if not self.shared.any():
            by_location = np.zeros(len(self.shared)), np.zeros(len(self.shared))
            by_location[0][self.at_x], by_location[1][self.at_y] = f, g
            return by_location[0][self.group_x], by_location[1][self.group_y]
        if g.size == 0:  # everything cancelled: any constant is optimal
            return np.zeros(len(problem.x)), np.zeros(len(problem.y))
        # One 1-Lipschitz function serves both sides: f = phi, g = -phi.
        sinks = problem.y[self.sinks]
        return least(problem, problem.x, sinks, g), -least(problem, problem.y, sinks, g)


def _locations(problem: Problem) -> tuple[Index, Index]:
    """Order in which equal points follow each other, and a number for each place.

    Masses are the last key, so that sums over a place do not depend on the order of the rows.
    """
    points = np.concatenate([problem.x, problem.y])
    mass = np.concatenate([problem.a, problem.b])
    order = np.lexsort((mass, *points.T[::-1]))
    placed = points[order]
    fresh = (placed[1:] != placed[:-1]).any(axis=1)
    return order, np.concatenate([[0], np.cumsum(fresh)])


def _dealt(group: Index, weight: Array, place: Index, mass: Array) -> Cells:
    """Split cells that start at a place among the rows that lie there."""
    rows, cells = np.argsort(group, kind="stable"), np.argsort(place, kind="stable")
    i, k, part = northwest(weight[rows], mass[cells])
    i, k = rows[i], cells[k]
    own = group[i] == place[k]  # rounding of the sums can leave a sliver across two places
    return i[own], k[own], part[own]
