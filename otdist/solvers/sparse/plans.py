"""First plans: greedy along candidate arcs, or handed down from a coarser copy."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from otdist.solvers.sparse.compiled import compiled
from otdist.solvers.sparse.ground import Arcs, Dual, Ground
from otdist.solvers.sparse.smoothing import smoothed

Array = NDArray[np.float64]
Masses = NDArray[np.int64]
Index = NDArray[np.intp]

CANDIDATES = 8  # arcs to each row and column to begin with
FEW = 16  # points left, below which the corner rule places them


def candidates(ground: Ground, f: Array, g: Array, k: int) -> tuple[Index, Index, Array]:
    """Pairs with one of the k smallest reduced costs of their row or column, by rows."""
    n, m = ground.shape
    by_row = ground.smallest(f, g, min(k, m))[0].astype(np.intp)
    by_col = ground.smallest(f, g, min(k, n), flip=True)[0].astype(np.intp)
    keys = np.concatenate(
        [(np.arange(n)[:, None] * m + by_row).ravel(), (by_col.T * m + np.arange(m)).ravel()]
    )
    rows, cols = np.divmod(np.unique(keys), m)
    return rows, cols, ground.costs(rows, cols)


def opening(ground: Ground, a: Masses, b: Masses, dual: Dual) -> tuple[Arcs, Array, Array]:
    """Candidate arcs with a plan on them, and potentials to start from (which need not be feasible)."""
    arcs = candidates(ground, dual.f, dual.g, CANDIDATES)
    f, g = smoothed(*arcs, a, b, dual.f, dual.g)
    return greedy_plan(ground, a, b, Dual(f, g), arcs), f, g


def greedy_plan(
    ground: Ground,
    a: Masses,
    b: Masses,
    dual: Dual,
    first: tuple[Index, Index, Array] | None = None,
) -> Arcs:
    """Candidate arcs with a feasible plan on them, whose support is a forest.

    Greedy by reduced cost; then again for the points that are left over, with more candidates
    each time, and by the north-west corner rule for the last ones. ``first``: candidates, if known.
    """
    f, g = dual.f, dual.g
    left, right = a.copy(), b.copy()
    parts: list[Arcs] = []
    k = CANDIDATES
    u, v = np.arange(len(a)), np.arange(len(b))
    while True:
        if parts or first is None:
            arcs = candidates(ground.part(u, v) if parts else ground, f[u], g[v], k)
        else:
            arcs = first
        rows, cols, cost = u[arcs[0]], v[arcs[1]], arcs[2]
        flow = np.zeros(len(rows), np.int64)
        send(np.argsort(cost - (f[rows] + g[cols]), kind="stable"), rows, cols, left, right, flow)
        used = slice(None) if not parts else flow > 0  # all candidates of the first turn are arcs
        parts.append(Arcs(rows[used], cols[used], cost[used], flow[used]))
        u, v = np.flatnonzero(left), np.flatnonzero(right)
        if min(len(u), len(v)) < FEW:
            break
        k = min(2 * k, 64)
    rows, cols, flow = corner(left, right)
    parts.append(Arcs(rows, cols, ground.costs(rows, cols), flow))
    return Arcs(*(np.concatenate(field) for field in zip(*parts, strict=True)))


def handed_down(plan: Arcs, a: Masses, b: Masses) -> tuple[Index, Index, Masses]:
    """Plan of a coarser copy as a plan of the points: rows, columns and flow.

    Masses of neighbours were added up, so cells in the order of their place and points in
    nested order carry the same mass in the same order: the corner rule joins them.
    """
    rows, cells, flow = _dealt(a, plan.rows, plan.flow)
    cols, parts, flow = _dealt(b, plan.cols[cells], flow)
    return rows[parts], cols, flow


def _dealt(mass: Masses, place: Index, flow: Masses) -> tuple[Index, Index, Masses]:
    """Split flows that start at a place among the points that stand there: (point, cell, flow)."""
    order = np.argsort(place, kind="stable")
    points, cells, parts = corner(mass.copy(), flow[order])
    return points, order[cells], parts


@compiled
def send(order, rows, cols, left, right, flow):
    """Send all that fits along each arc in turn; what is left stays in ``left`` and ``right``.

    Each arc in use empties one of its ends, so the arcs in use form a forest.
    """
    for e in order:
        i, j = rows[e], cols[e]
        part = min(left[i], right[j])
        if part > 0:
            flow[e] = part
            left[i] -= part
            right[j] -= part


def corner(left: Masses, right: Masses) -> tuple[Index, Index, Masses]:
    """North-west corner rule for what is left, in the order the points stand: (rows, cols, flow)."""
    size = len(left) + len(right)
    rows, cols, flow = np.empty(size, np.int64), np.empty(size, np.int64), np.empty(size, np.int64)
    # Compiled code returns no arrays: an interrupt while numba wraps them would become a SystemError.
    count = place(left, right, rows, cols, flow)
    return rows[:count], cols[:count], flow[:count]


@compiled
def place(left, right, rows, cols, flow):
    """Fill in the cells of the corner rule; returns their number."""
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
