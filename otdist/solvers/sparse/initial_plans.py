"""Initial plans: greedy along candidate arcs, or refined from a coarser copy."""

from __future__ import annotations

import numpy as np

from otdist.solvers.pairs.compiled import jit
from otdist.solvers.pairs.pairwise_costs import Arcs, Dual, PairwiseCosts, cheapest_pairs
from otdist.solvers.sparse.smoothing import smooth_potentials
from otdist.typing import Array, Index, Integers

Masses = Integers

CANDIDATES_PER_POINT = 8  # initial arcs of each row and column
MIN_POINTS_GREEDY = 16  # fewer remaining points are coupled by the north-west corner rule


def make_initial_plan(ground: PairwiseCosts, a: Masses, b: Masses, dual: Dual) -> tuple[Arcs, Array, Array]:
    """Make candidate arcs with a plan on them, and initial potentials (which need not be feasible)."""
    arcs = cheapest_pairs(ground, dual.f, dual.g, CANDIDATES_PER_POINT)
    f, g = smooth_potentials(*arcs, a, b, dual.f, dual.g)
    return greedy_plan(ground, a, b, Dual(f, g), arcs), f, g


def greedy_plan(
    ground: PairwiseCosts,
    a: Masses,
    b: Masses,
    dual: Dual,
    first: tuple[Index, Index, Array] | None = None,
) -> Arcs:
    """Make candidate arcs with a feasible plan on them, whose support is a forest.

    Greedy by reduced cost; then again for the remaining points, with more candidates each time, and by the
    north-west corner rule for the last ones. ``first``: candidates, if known.
    """
    f, g = dual.f, dual.g
    left, right = a.copy(), b.copy()
    parts: list[Arcs] = []
    k = CANDIDATES_PER_POINT
    u, v = np.arange(len(a)), np.arange(len(b))
    while True:
        if parts or first is None:
            arcs = cheapest_pairs(ground.subset(u, v) if parts else ground, f[u], g[v], k)
        else:
            arcs = first
        rows, cols, cost = u[arcs[0]], v[arcs[1]], arcs[2]
        flow = np.zeros(len(rows), np.int64)
        send_greedily(np.argsort(cost - (f[rows] + g[cols]), kind="stable"), rows, cols, left, right, flow)
        used = slice(None) if not parts else flow > 0  # all candidates of the first round become arcs
        parts.append(Arcs(rows[used], cols[used], cost[used], flow[used]))
        u, v = np.flatnonzero(left), np.flatnonzero(right)
        if min(len(u), len(v)) < MIN_POINTS_GREEDY:
            break
        k = min(2 * k, 64)
    rows, cols, flow = northwest_corner(left, right)
    parts.append(Arcs(rows, cols, ground.costs(rows, cols), flow))
    return Arcs(*(np.concatenate(field) for field in zip(*parts, strict=True)))


def refine_plan(plan: Arcs, a: Masses, b: Masses) -> tuple[Index, Index, Masses]:
    """Refine the plan of a coarser copy to the points: rows, columns and flow.

    Masses of neighbours were added up, so the cells sorted by merged point and the points in kd order have
    the same masses in the same order: the north-west corner rule couples them.
    """
    rows, cells, flow = _split_flows(a, plan.rows, plan.flow)
    cols, parts, flow = _split_flows(b, plan.cols[cells], flow)
    return rows[parts], cols, flow


def _split_flows(mass: Masses, place: Index, flow: Masses) -> tuple[Index, Index, Masses]:
    """Split the flows of each merged point among its points: (point, cell, flow)."""
    order = np.argsort(place, kind="stable")
    points, cells, parts = northwest_corner(mass.copy(), flow[order])
    return points, order[cells], parts


@jit
def send_greedily(order, rows, cols, left, right, flow):
    """Send as much as possible along each arc in turn; ``left`` and ``right`` keep the remaining masses.

    Each arc in use exhausts one of its ends, so the arcs in use form a forest.
    """
    for e in order:
        i, j = rows[e], cols[e]
        part = min(left[i], right[j])
        if part > 0:
            flow[e] = part
            left[i] -= part
            right[j] -= part


def northwest_corner(left: Masses, right: Masses) -> tuple[Index, Index, Masses]:
    """Couple the remaining masses in order by the north-west corner rule: (rows, cols, flow)."""
    size = len(left) + len(right)
    rows, cols, flow = np.empty(size, np.int64), np.empty(size, np.int64), np.empty(size, np.int64)
    # Compiled code returns no arrays: an interrupt while numba wraps them would become a SystemError.
    count = fill_corner_cells(left, right, rows, cols, flow)
    return rows[:count], cols[:count], flow[:count]


@jit
def fill_corner_cells(left, right, rows, cols, flow):
    """Fill in the cells of the north-west corner rule; returns their number."""
    i = j = k = 0
    while i < len(left) and j < len(right):
        part = min(left[i], right[j])
        if part > 0:
            rows[k], cols[k], flow[k] = i, j, part
            left[i] -= part
            right[j] -= part
            k += 1
        if left[i] == 0:
            i += 1
        else:
            j += 1
    return k
