"""Preparation of a problem: duplicates are merged, and mass common to both samples is cancelled."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from otdist.bounds import UNIT_ROUNDOFF, northwest
from otdist.problem import Problem, scale_exponent
from otdist.result import Result
from otdist.solvers.answer import c_transform_of_points, make_result
from otdist.solvers.mass_sums import sum_by_place
from otdist.typing import Array, Cells, Index


@dataclass(frozen=True, eq=False)
class MergedProblem:
    """Smaller problem with the same answer, and the map back.

    Attributes
    ----------
    problem : Problem
        The original problem; its ``mass_error`` includes the rounding of merged masses.
    sources, sinks : ndarray
        One row of ``problem.x`` (``problem.y``) for each remaining point.
    a, b : ndarray
        Remaining masses.
    group_x, group_y : ndarray or None
        Location of each row of x (y); None if every row is a separate point.
    at_x, at_y : ndarray
        Location of each remaining point.
    shared : ndarray
        Mass common to both samples, at each location.
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
    def of(cls, problem: Problem) -> MergedProblem:
        """Merge coincident points, and cancel their common mass (for metrics and p = 1).

        Notes
        -----
        By Kantorovich-Rubinstein duality W1 depends only on a - b, so mass that both samples have at one
        location need not move. For other costs this is false, unless both samples are the same; then only
        the rows of each sample are merged.
        """
        n, m = len(problem.x), len(problem.y)
        first = np.concatenate([problem.x[:, 0], problem.y[:, 0]])
        first.sort()
        if not (first[1:] == first[:-1]).any():  # no ties in one column: no duplicates
            return cls.from_rows(problem)
        order, location = _locations(problem)
        count = int(location[-1]) + 1
        group = np.empty(n + m, dtype=np.intp)
        group[order] = location
        sums = sum_by_place(problem.a, problem.b, group[:n], group[n:], count, whole=problem.whole)
        same = problem.metric.pairs is not None and not sums.net.any()
        if same or (problem.metric.triangle and problem.p == 1):
            rest_a, rest_b = np.maximum(sums.net, 0.0), np.maximum(-sums.net, 0.0)
            shared = np.minimum(sums.a, sums.b)
            mass_error = sums.error
        else:
            rest_a, rest_b, shared = sums.a, sums.b, np.zeros(count)
            mass_error = sums.error + (
                0.0 if problem.whole else UNIT_ROUNDOFF * float(sums.a.sum() + sums.b.sum())
            )
        problem = replace(problem, mass_error=problem.mass_error + mass_error / problem.mass)
        at_x, at_y = np.flatnonzero(rest_a), np.flatnonzero(rest_b)
        row_of = np.zeros(count, dtype=np.intp)
        row_of[group[:n]] = np.arange(n)
        col_of = np.zeros(count, dtype=np.intp)
        col_of[group[n:]] = np.arange(m)
        places = group[:n], group[n:], at_x, at_y, shared
        return cls(problem, row_of[at_x], col_of[at_y], rest_a[at_x], rest_b[at_y], *places)

    @classmethod
    def from_rows(cls, problem: Problem, masses: tuple[Array, Array] | None = None) -> MergedProblem:
        """Keep every row as a separate point; ``masses``: others than those of the problem."""
        a, b = (problem.a, problem.b) if masses is None else masses
        return cls(problem, np.arange(len(problem.x)), np.arange(len(problem.y)), a, b)

    def rescale(self) -> MergedProblem:
        """Scale points or distances so that the remaining costs neither over- nor underflow."""
        problem = self.problem
        if problem.metric.degree is not None:
            x, y = problem.x[self.sources], problem.y[self.sinks]
            low, high = min(x.min(), y.min()), max(x.max(), y.max())
            problem = problem.scale_by(scale_exponent(max(abs(low), abs(high)), problem.p))
        x, y = problem.x[self.sources], problem.y[self.sinks]
        return replace(self, problem=problem.fit_distance_unit(x, y))

    def zero_result(self, method: str, weight_error: float) -> Result:
        """Return the result if no mass remains; ``weight_error``: bound of the rounding of the weights."""
        empty = np.empty(0, dtype=np.intp), np.empty(0, dtype=np.intp), np.empty(0)
        return make_result(
            self.problem,
            method,
            (0.0, 0.0, weight_error),
            plan=partial(self.full_plan, *empty),
            potentials=partial(self.full_potentials, np.empty(0), np.empty(0)),
            distances_rounded=False,  # a distance of 0 is exact
            message="Both samples carry the same mass everywhere.",
        )

    def full_plan(self, rows: Index, cols: Index, mass: Array) -> Cells:
        """Map the cells of the merged problem's plan to the rows of the original problem."""
        if self.group_x is None or self.group_y is None or self.shared is None:
            return rows, cols, mass
        assert self.at_x is not None and self.at_y is not None
        stay = np.flatnonzero(self.shared)
        start = np.concatenate([self.at_x[rows], stay])
        end = np.concatenate([self.at_y[cols], stay])
        mass = np.concatenate([mass, self.shared[stay]])
        i, cell, mass = _split_cells(self.group_x, self.problem.a, start, mass)
        j, part, mass = _split_cells(self.group_y, self.problem.b, end[cell], mass)
        return i[part], j, mass

    def scaled_potentials(self, f: Array, g: Array, exponent: int) -> tuple[Array, Array]:
        """Compute potentials of all rows from those of the remaining points, divided by ``2**exponent``."""
        if exponent > 0:
            # Costs may be near the largest float64: potentials centred at 0 do not overflow.
            middle = (float(f.max()) + float(f.min())) / 2
            f, g = f - middle, g + middle
        with np.errstate(over="ignore"):
            return self.full_potentials(np.ldexp(f, exponent), np.ldexp(g, exponent))

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
        return c_transform_of_points(problem, problem.x, sinks, g), -c_transform_of_points(
            problem, problem.y, sinks, g
        )


def _locations(problem: Problem) -> tuple[Index, Index]:
    """Return an order in which equal points are adjacent, and the location of each.

    Masses are the last sort key, so that sums over a location do not depend on the order of the rows.
    """
    points = np.concatenate([problem.x, problem.y])
    mass = np.concatenate([problem.a, problem.b])
    order = np.lexsort((mass, *points.T[::-1]))
    placed = points[order]
    fresh = (placed[1:] != placed[:-1]).any(axis=1)
    return order, np.concatenate([[0], np.cumsum(fresh)])


def _split_cells(group: Index, weight: Array, place: Index, mass: Array) -> Cells:
    """Split the cells of each location among its rows."""
    rows, cells = np.argsort(group, kind="stable"), np.argsort(place, kind="stable")
    i, k, part = northwest(weight[rows], mass[cells])
    i, k = rows[i], cells[k]
    same_location = group[i] == place[k]  # rounding of the sums can leave a sliver across two places
    return i[same_location], k[same_location], part[same_location]
