"""Better initial potentials: a few updates of Sinkhorn's iteration on the candidate arcs."""

from __future__ import annotations

import numpy as np

from otdist.solvers.pairs.compiled import jit
from otdist.typing import Array, Index, Integers

Masses = Integers

MIN_SLACK_RATIO = 0.02  # smoothing pays above this mean least reduced cost, relative to the median cost
SMOOTHING_EPS_RATIOS = (0.03, 0.01)  # regularisation, relative to the median cost
UPDATES_PER_EPS = 4


def smooth_potentials(
    rows: Index, cols: Index, cost: Array, a: Masses, b: Masses, f: Array, g: Array
) -> tuple[Array, Array]:
    """Move potentials towards the optimal ones of the arcs, which are sorted by rows.

    In many dimensions the potentials of a coarser copy are far too low, and correcting each point takes
    pivots of its own. Potentials that are tight are not changed. The result need not be feasible.

    Notes
    -----
    Cuturi (2013), on a sparse support, in the log domain.
    """
    positive = cost[cost > 0]  # many costs may be 0
    if len(positive) == 0:
        return f, g
    scale = float(np.median(positive))
    starts = np.searchsorted(rows, np.arange(len(a) + 1))
    least = np.minimum.reduceat(cost - (f[rows] + g[cols]), starts[:-1])
    if float(np.average(least, weights=a.astype(float))) <= MIN_SLACK_RATIO * scale:
        return f, g
    by_col = np.argsort(cols, kind="stable")
    ends = np.searchsorted(cols[by_col], np.arange(len(b) + 1))
    log_a, log_b = (np.log(mass / float(mass.sum())) for mass in (a, b))
    f, g = f.copy(), g.copy()
    for eps in SMOOTHING_EPS_RATIOS:
        for _ in range(UPDATES_PER_EPS):
            _half_step(starts, np.arange(len(rows)), cols, cost, log_a, eps * scale, g, f)
            _half_step(ends, by_col, rows, cost, log_b, eps * scale, f, g)
    return np.minimum.reduceat(cost - g[cols], starts[:-1]), g


@jit
def _half_step(starts, order, others, cost, log_mass, eps, potential, out):
    """``out_i = eps log a_i - eps log sum_j exp((potential_j - cost_ij) / eps)`` over the arcs of i."""
    for i in range(len(out)):
        top = -np.inf
        for q in range(starts[i], starts[i + 1]):
            top = max(top, potential[others[order[q]]] - cost[order[q]])
        total = 0.0
        for q in range(starts[i], starts[i + 1]):
            total += np.exp((potential[others[order[q]]] - cost[order[q]] - top) / eps)
        out[i] = eps * (log_mass[i] - np.log(total)) - top
