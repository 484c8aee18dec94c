"""Network simplex for transport problems on a growing set of arcs."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from otdist.solvers.pairs.pairwise_costs import Arcs
from otdist.solvers.sparse.pivots import run_pivots
from otdist.solvers.sparse.tree import lay_out, link_forest, new_tree
from otdist.solvers.sparse.tree_fragments import new_window
from otdist.typing import Array, Index, Integers

Masses = Integers


class Network:
    """Optimal basis of n sources and m sinks, on the arcs added so far.

    Parameters
    ----------
    n, m : int
        Numbers of sources and sinks.

    Notes
    -----
    Primal network simplex (Dantzig 1951) with strongly feasible bases (Cunningham 1976) and block
    search. Differs in that arcs can be added to a basis at any time, and in how potentials are
    updated: see ``pivots``.
    """

    def __init__(self, n: int, m: int) -> None:
        self.n, self.m = n, m
        self.count = 0  # arcs
        self.pivots = 0
        self._source = np.empty(0, np.int32)
        self._sink = np.empty(0, np.int32)
        self._cost = np.empty(0)
        self._tree = new_tree(n + m)
        self._window_size = max(30, 2 * math.isqrt(n + m))
        self._window = new_window(n + m + 1, self._window_size)

    def add(self, rows: Index, cols: Index, cost: Array) -> Index:
        """Append arcs; returns their indices."""
        first, self.count = self.count, self.count + len(rows)
        if self.count > len(self._cost):
            room = max(self.count, int(1.3 * len(self._cost)))
            for name in ("_source", "_sink", "_cost"):
                old = getattr(self, name)
                grown = np.empty(room, old.dtype)
                grown[:first] = old[:first]
                setattr(self, name, grown)
        self._source[first : self.count] = rows
        self._sink[first : self.count] = cols
        self._sink[first : self.count] += self.n
        self._cost[first : self.count] = cost
        return np.arange(first, self.count)

    def begin(self, first: Arcs, f: Array, g: Array) -> None:
        """Initialise with arcs, a feasible plan on them whose support is a forest, and any potentials."""
        numbers = self.add(first.rows, first.cols, first.cost)
        used = first.flow > 0
        self.start(numbers[used], first.flow[used], f, g)

    def start(self, arcs: Index, flow: Masses, f: Array, g: Array) -> None:
        """Initialise as :meth:`begin`, on arcs that were added before."""
        tree = self._tree
        link_forest(tree, self.n, arcs, self._source[arcs], self._sink[arcs], flow)
        tree.pi[: self.n] = -f  # positions are still the nodes' indices
        tree.pi[self.n : -1] = g
        self._lay_out()

    def solve(self, first: int, tol: float, should_stop: Callable[[], bool]) -> bool:
        """Pivot until no arc has a reduced cost below ``-tol``; returns False if ``should_stop`` stopped it.

        ``first``: arc at which the search begins.
        """
        # Half the usual root: pricing an arc takes four random reads, a pivot not much more.
        block = max(20, math.isqrt(self.count) // 2)
        cursor = first
        while cursor >= 0:
            done, cursor = run_pivots(
                self._tree, self._window, self.n, self._source, self._sink, self._cost,
                self.count, cursor, block, tol, self._window_size,
            )  # fmt: skip
            self.pivots += done
            if cursor >= 0 and should_stop():
                break
        self._lay_out()
        return cursor < 0

    def _lay_out(self) -> None:
        lay_out(self._tree, self.n, self._cost, self._window.child, self._window.chain)

    def potentials(self) -> tuple[Array, Array]:
        """Potentials (f, g) of the tree: ``f_i + g_j = cost_ij`` on its arcs, up to rounding."""
        pi = self._tree.pi[self._tree.place]
        return -pi[: self.n], pi[self.n : -1]

    def plan(self) -> Arcs:
        """Arcs that carry flow."""
        nodes = self._tree.nodes
        full = nodes["flow"] > 0
        arcs = nodes["arc"][full]
        rows, cols = self._source[arcs].astype(np.intp), self._sink[arcs].astype(np.intp) - self.n
        return Arcs(rows, cols, self._cost[arcs], nodes["flow"][full])
