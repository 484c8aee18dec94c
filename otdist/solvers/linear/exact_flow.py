"""Plans and potentials of a transport problem in exact arithmetic."""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction

import numpy as np

from otdist.typing import Array, Cells, Index

Exact = Sequence[Fraction]


def exact_plan(cost: Array, rows: Index, cols: Index, a: Exact, b: Exact) -> Cells | None:
    """Compute the plan on given cells whose marginals are exactly a and b.

    Parameters
    ----------
    cost : ndarray, shape (n, m)
        Costs, for choosing additional cells.
    rows, cols : ndarray of int
        Cells of an optimal plan in floating point, without cycles, as in basic solutions.
    a, b : sequences of Fraction
        Masses of equal totals.

    Returns
    -------
    (rows, cols, mass) or None
        Exact masses, each rounded once. None if the cells have a cycle, or would carry negative mass.

    Notes
    -----
    A cell at a leaf of the forest carries the mass of the leaf: O(n + m) operations on integers.
    Components that balance in float64 but not exactly are joined by the cheapest cell between them.
    """
    n = len(a)
    unit = math.lcm(*(mass.denominator for mass in (*a, *b)))
    rest = [int(mass * unit) for mass in a] + [-int(mass * unit) for mass in b]
    ends = [(int(i), n + int(j)) for i, j in zip(rows, cols, strict=True)]
    joining = _joining_cells(cost, ends, rest)
    if joining is None:
        return None
    ends += joining
    flows = _flows_from_leaves(ends, rest)
    if flows is None or min(flows, default=0) < 0:
        return None
    used = [k for k, flow in enumerate(flows) if flow]
    mass = np.array([float(Fraction(flows[k], unit)) for k in used])
    at = np.array([ends[k] for k in used], dtype=np.intp).reshape(-1, 2)
    return at[:, 0], at[:, 1] - n, mass


def _flows_from_leaves(ends: list[tuple[int, int]], rest: list[int]) -> list[int] | None:
    """Compute the flows along the edges of a forest; None if it has a cycle, or does not balance."""
    rest = list(rest)
    touching: list[set[int]] = [set() for _ in rest]
    for k, (i, j) in enumerate(ends):
        touching[i].add(k)
        touching[j].add(k)
    flows = [0] * len(ends)
    leaves = [v for v, edges in enumerate(touching) if len(edges) == 1]
    while leaves:
        v = leaves.pop()
        if not touching[v]:
            continue
        k = touching[v].pop()
        i, j = ends[k]
        flows[k] = rest[i] if v == i else -rest[j]
        other = j if v == i else i
        rest[i] -= flows[k]
        rest[j] += flows[k]
        touching[other].discard(k)
        if len(touching[other]) == 1:
            leaves.append(other)
    return None if any(rest) or any(touching) else flows


def _joining_cells(cost: Array, ends: list[tuple[int, int]], rest: list[int]) -> list[tuple[int, int]] | None:
    """Choose cells that join components of the forest until each of them balances."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    n, size = cost.shape[0], len(rest)
    at = np.array(ends, dtype=np.intp).reshape(-1, 2)
    graph = coo_array((np.ones(len(at)), (at[:, 0], at[:, 1])), (size, size))
    count, part = connected_components(graph, directed=False)
    surplus = [0] * count
    for node, mass in enumerate(rest):
        surplus[part[node]] += mass
    over = [k for k in range(count) if surplus[k] > 0]
    under = [k for k in range(count) if surplus[k] < 0]
    joining = []
    while over and under:
        k, q = over[-1], under[-1]
        rows, cols = np.flatnonzero(part[:n] == k), np.flatnonzero(part[n:] == q)
        if min(len(rows), len(cols)) == 0:
            return None
        i, j = np.divmod(int(np.argmin(cost[np.ix_(rows, cols)])), len(cols))
        joining.append((int(rows[i]), n + int(cols[j])))
        moved = min(surplus[k], -surplus[q])
        surplus[k] -= moved
        surplus[q] += moved
        if surplus[k] == 0:
            over.pop()
        if surplus[q] == 0:
            under.pop()
    return joining


def exact_bound(cost: Array, cells: Cells, a: Exact, b: Exact, g: Array) -> float:
    """Compute a lower bound of the optimum from potentials with zero reduced cost on the cells of a plan.

    Within each component of the forest of cells, potentials follow from the costs; ``g``, in float64, sets
    the shifts between components. A c-transform makes any potentials feasible. Only the last operation
    rounds, downwards. O(n m) operations on integers.
    """
    n, m = cost.shape
    table, exponent = _as_integers(cost)
    known: dict[int, int] = {}
    touching: list[list[tuple[int, int]]] = [[] for _ in range(n + m)]
    for i, j in zip(cells[0].tolist(), cells[1].tolist(), strict=True):
        touching[i].append((n + j, table[i][j]))
        touching[n + j].append((i, table[i][j]))
    for root in range(n, n + m):
        if root in known:
            continue
        known[root] = math.floor(Fraction(float(g[root - n])) * Fraction(2) ** -exponent)
        waiting = [root]
        while waiting:
            node = waiting.pop()
            for other, price in touching[node]:
                if other not in known:
                    known[other] = price - known[node]
                    waiting.append(other)
    columns = [known[n + j] for j in range(m)]
    rows = [min(price - q for price, q in zip(line, columns, strict=True)) for line in table]
    columns = [min(table[i][j] - rows[i] for i in range(n)) for j in range(m)]
    value = sum(q * mass for q, mass in zip((*rows, *columns), (*a, *b), strict=True))
    exact = Fraction(value) * Fraction(2) ** exponent
    bound = float(exact)
    return bound if Fraction(bound) <= exact else math.nextafter(bound, -math.inf)


def _as_integers(cost: Array) -> tuple[list[list[int]], int]:
    """Convert costs to integers times a power of two; returns these and the exponent."""
    fraction, exponents = np.frexp(cost)
    digits = np.ldexp(fraction, 53).astype(np.int64).tolist()
    lowest = int(exponents[fraction > 0].min(initial=0)) - 53
    shifts = (exponents - 53 - lowest).tolist()
    lines = zip(digits, shifts, strict=True)
    return [[d << s if d else 0 for d, s in zip(*line, strict=True)] for line in lines], lowest
