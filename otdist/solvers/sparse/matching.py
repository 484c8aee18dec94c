"""Auction algorithm for problems of equal masses, on a growing set of arcs."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from otdist.solvers.pairs.pairwise_costs import Arcs
from otdist.solvers.sparse.auction import AuctionState, best_offers, place_bids, release_rows
from otdist.solvers.sparse.network import Network
from otdist.typing import Array, Index

EPS_REDUCTION = 8.0  # ratio of eps of two successive phases
BIDS_PER_WINDOW = 2**18  # bids between two checks of the clock
MAX_NEW_ARCS_PER_ROW = 0.1  # fewer new arcs are left to the network simplex
MAX_BIDS_PER_ROW = 600  # after so many bids the network simplex takes over
MIN_EPS_PER_PRICE = 2.0**-50  # smallest eps relative to the largest price: a bid must exceed rounding


class Matching:
    """Optimal matching of n sources and n sinks of equal masses, on the arcs added so far.

    Has the interface of :class:`Network`.

    Parameters
    ----------
    n : int
        Number of sources, and of sinks.

    Notes
    -----
    Auction with scaling (Bertsekas 1988; Goldberg, Kennedy 1995). Rows bid for columns, and each
    row's column is within eps of its best one; eps decreases to a quarter of ``tol``. Differs in that
    prices are kept when arcs are added, and that the first eps follows from the gap between plan and
    prices. The network simplex continues from the best matching if few arcs are new, if prices are too large
    for ``tol``, or if the bids do not terminate.
    """

    def __init__(self, n: int) -> None:
        self.n = n
        self.count = 0  # arcs
        self._bids = 0
        self._solved = False
        self._simplex: Network | None = None
        self._source = np.empty(0, np.int32)
        nobody = np.full(n, -1, np.int32)
        self._auction = AuctionState(
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
        """Number of bids, and of pivots of the network simplex if it took over."""
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
        """Initialise with arcs, a feasible plan on them, and any potentials."""
        self.add(first.rows, first.cols, first.cost)
        used = first.flow > 0
        self._plan = Arcs(first.rows[used], first.cols[used], first.cost[used], first.flow[used])
        auction, plan = self._auction, self._plan
        auction.mate[plan.rows], auction.mate_cost[plan.rows] = plan.cols, plan.cost
        auction.owner[plan.cols] = plan.rows
        np.negative(g, out=auction.price)

    def solve(self, first: int, tol: float, should_stop: Callable[[], bool]) -> bool:
        """Bid until no arc has a reduced cost below ``-tol``; returns False if ``should_stop`` stopped it.

        ``first``: index of the first new arc.
        """
        if self._solved and self.count - first < MAX_NEW_ARCS_PER_ROW * self.n:
            self._hand_over()
        # Reduced costs end near eps: with eps = tol, rounding would decide which arcs are missing.
        last, limit = tol / 4, self._bids + MAX_BIDS_PER_ROW * self.n
        eps = max(self._mean_excess(), last)
        while self._simplex is None:
            if not self._run_phase(eps, limit, should_stop):
                return False
            if self._simplex is None and eps <= last:
                return True
            eps = max(eps / EPS_REDUCTION, last)
        return self._simplex.solve(first, tol, should_stop)

    def _run_phase(self, eps: float, limit: int, should_stop: Callable[[], bool]) -> bool:
        """Match all rows within eps, or hand over to the simplex; False if ``should_stop`` stopped it."""
        list_of_free = np.empty(self.n, np.int32)
        free = release_rows(self._auction, eps, list_of_free)
        while free > 0:
            free, bids = place_bids(self._auction, eps, list_of_free, free, BIDS_PER_WINDOW)
            self._bids += bids
            if free > 0 and should_stop():
                return False
            if self._bids > limit or float(np.abs(self._auction.price).max()) * MIN_EPS_PER_PRICE > eps:
                if free == 0:
                    self._update_best()
                self._hand_over()
                return True
        self._update_best()
        self._solved = True
        return True

    def potentials(self) -> tuple[Array, Array]:
        """Potentials (f, g), feasible on all arcs up to the tolerance of ``solve``."""
        if self._simplex is not None:
            return self._simplex.potentials()
        return self._best_offers(), -self._auction.price

    def plan(self) -> Arcs:
        """The best matching so far."""
        return self._plan if self._simplex is None else self._simplex.plan()

    def _best_offers(self) -> Array:
        out = np.empty(self.n)
        best_offers(self._auction, out)
        return out

    def _mean_excess(self) -> float:
        """Mean difference between a row's cost in the plan and its best offer, at the present prices."""
        plan = self._plan
        return float((plan.cost + self._auction.price[plan.cols] - self._best_offers()[plan.rows]).mean())

    def _update_best(self) -> None:
        """Keep the present matching, which is complete, if it is the best one."""
        mate, mate_cost = self._auction.mate, self._auction.mate_cost
        if mate_cost.sum() < self._plan.cost.sum():
            self._plan = Arcs(np.arange(self.n), mate.astype(np.intp), mate_cost.copy(), self._plan.flow)

    def _hand_over(self) -> None:
        """Hand over to the network simplex."""
        if self._simplex is None:
            simplex = Network(self.n, self.n)
            simplex.add(self._source.astype(np.intp), self._auction.sink.astype(np.intp), self._auction.cost)
            simplex.begin(self._plan, *self.potentials())
            self._simplex = simplex
