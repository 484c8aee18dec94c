"""A transport problem whose masses are all the same, on some of its arcs: an auction that can go on."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from otdist.solvers.sparse.bids import Auction, bid, least, release
from otdist.solvers.sparse.ground import Arcs
from otdist.solvers.sparse.network import Network

Array = NDArray[np.float64]
Index = NDArray[np.intp]

SHRINK = 8.0  # by how much a phase is finer than the one before
WINDOW = 2**18  # bids between two looks at the clock
FEW = 0.1  # new arcs a row, below which they are better left to the simplex
ENOUGH = 600  # bids a row, after which the simplex takes over
DIGITS = 2.0**-50  # of the largest price: a bid has to be more than a rounding


class Matching:
    """Arcs from n sources to n sinks of one mass each, and a best matching on those added so far.

    Answers as :class:`Network` does.

    Parameters
    ----------
    n : int
        Sources, and sinks.

    Notes
    -----
    Auction with scaling (Bertsekas 1988; Goldberg, Kennedy 1995). Rows bid for columns, and each
    row's column is within eps of its best one; eps falls to a quarter of ``tol``. Differs in that
    prices are kept when arcs are added, and that the first eps follows from how far plan and prices are
    apart. The network simplex goes on from the best matching when few arcs are new, and where prices
    are too large for ``tol`` or bids do not come to an end.
    """

    def __init__(self, n: int) -> None:
        self.n = n
        self.count = 0  # arcs
        self._bids = 0
        self._solved = False
        self._simplex: Network | None = None
        self._source = np.empty(0, np.int32)
        nobody = np.full(n, -1, np.int32)
        self._auction = Auction(
            np.zeros(n + 1, np.int64),
            self._source,
            np.empty(0),
            np.empty(n),
            nobody,
            np.empty(n),
            nobody.copy(),
        )

    @property
    def pivots(self) -> int:
        """Bids, and pivots of the simplex if it took over."""
        return self._bids + (0 if self._simplex is None else self._simplex.pivots)

    def add(self, rows: Index, cols: Index, cost: Array) -> None:
        """Add arcs."""
        self.count += len(rows)
        if self._simplex is not None:
            self._simplex.add(rows, cols, cost)
            return
        old = self._auction
        source = np.concatenate([self._source, rows.astype(np.int32)])
        order = np.argsort(source, kind="stable")
        self._source = source[order]
        self._auction = old._replace(
            starts=np.searchsorted(self._source, np.arange(self.n + 1)),
            sink=np.concatenate([old.sink, cols.astype(np.int32)])[order],
            cost=np.concatenate([old.cost, cost])[order],
        )

    def begin(self, first: Arcs, f: Array, g: Array) -> None:
        """Begin with arcs, a feasible plan on them, and any potentials."""
        self.add(first.rows, first.cols, first.cost)
        used = first.flow > 0
        self._plan = Arcs(first.rows[used], first.cols[used], first.cost[used], first.flow[used])
        auction, plan = self._auction, self._plan
        auction.mate[plan.rows], auction.paid[plan.rows] = plan.cols, plan.cost
        auction.owner[plan.cols] = plan.rows
        np.negative(g, out=auction.price)

    def solve(self, first: int, tol: float, paused: Callable[[], bool]) -> bool:
        """Bid until no arc has a reduced cost below ``-tol``; False if ``paused`` said stop.

        ``first``: the arcs from this number on are new.
        """
        if self._solved and self.count - first < FEW * self.n:
            self._hand_over()
        # Columns end as far off as they may: at tol, rounding would decide which arcs are missing.
        last, limit = tol / 4, self._bids + ENOUGH * self.n
        eps = max(self._apart(), last)
        while self._simplex is None:
            if not self._phase(eps, limit, paused):
                return False
            if self._simplex is None and eps <= last:
                return True
            eps = max(eps / SHRINK, last)
        return self._simplex.solve(first, tol, paused)

    def _phase(self, eps: float, limit: int, paused: Callable[[], bool]) -> bool:
        """Match all rows within eps, or hand over to the simplex; False if ``paused`` said stop."""
        list_of_free = np.empty(self.n, np.int32)
        free = release(self._auction, eps, list_of_free)
        while free > 0:
            free, bids = bid(self._auction, eps, list_of_free, free, WINDOW)
            self._bids += bids
            if free > 0 and paused():
                return False
            if self._bids > limit or float(np.abs(self._auction.price).max()) * DIGITS > eps:
                if free == 0:
                    self._keep()
                self._hand_over()
                return True
        self._keep()
        self._solved = True
        return True

    def potentials(self) -> tuple[Array, Array]:
        """Potentials (f, g), feasible on all arcs but for what ``solve`` allows."""
        if self._simplex is not None:
            return self._simplex.potentials()
        return self._least(), -self._auction.price

    def plan(self) -> Arcs:
        """The best matching so far."""
        return self._plan if self._simplex is None else self._simplex.plan()

    def _least(self) -> Array:
        out = np.empty(self.n)
        least(self._auction, out)
        return out

    def _apart(self) -> float:
        """By how much rows could do better at these prices, on average."""
        plan = self._plan
        return float((plan.cost + self._auction.price[plan.cols] - self._least()[plan.rows]).mean())

    def _keep(self) -> None:
        """Take the matching of the moment, which is complete, if it is the best one."""
        mate, paid = self._auction.mate, self._auction.paid
        if paid.sum() < self._plan.cost.sum():
            self._plan = Arcs(np.arange(self.n), mate.astype(np.intp), paid.copy(), self._plan.flow)

    def _hand_over(self) -> None:
        """Let the network simplex go on."""
        if self._simplex is None:
            simplex = Network(self.n, self.n)
            simplex.add(self._source.astype(np.intp), self._auction.sink.astype(np.intp), self._auction.cost)
            simplex.begin(self._plan, *self.potentials())
            self._simplex = simplex
