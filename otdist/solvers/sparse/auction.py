"""Inner loops of the auction algorithm of ``matching``."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from otdist.solvers.pairs.compiled import jit
from otdist.typing import Array, Integers


class AuctionState(NamedTuple):
    """Arcs, prices and matching: rows bid for the column with the least ``cost + price``."""

    starts: Integers  # arcs of row i: starts[i] to starts[i + 1]
    sink: NDArray[np.int32]
    cost: Array
    price: Array  # of a column
    mate: NDArray[np.int32]  # column of a row; -1: none
    mate_cost: Array  # cost of the arc to it
    owner: NDArray[np.int32]  # row of a column; -1: none


@jit
def best_offers(auction, out):
    """Compute the least ``cost + price`` of every row."""
    starts, sink, cost, price = auction.starts, auction.sink, auction.cost, auction.price
    for i in range(len(out)):
        best = np.inf
        for e in range(starts[i], starts[i + 1]):
            best = min(best, cost[e] + price[sink[e]])
        out[i] = best


@jit
def release_rows(auction, eps, free):
    """Release rows with a column better by more than eps; lists all free rows, returns their number."""
    starts, sink, cost, price = auction.starts, auction.sink, auction.cost, auction.price
    mate, count = auction.mate, 0
    for i in range(len(mate)):
        if mate[i] >= 0:
            bound = auction.mate_cost[i] + price[mate[i]] - eps
            for e in range(starts[i], starts[i + 1]):
                if cost[e] + price[sink[e]] < bound:
                    auction.owner[mate[i]] = -1
                    mate[i] = -1
                    break
        if mate[i] < 0:
            free[count] = i
            count += 1
    return count


@jit
def place_bids(auction, eps, free, count, limit):
    """Let free rows bid until none is left, or ``limit`` bids were made.

    A row takes its best column and raises the price until the second best is better by eps; a displaced row
    bids next. Returns the number of free rows, and of bids.
    """
    starts, sink, cost, price = auction.starts, auction.sink, auction.cost, auction.price
    mate, mate_cost, owner = auction.mate, auction.mate_cost, auction.owner
    done = 0
    while count > 0 and done < limit:
        i = free[count - 1]
        best, second, at = np.inf, np.inf, -1
        for e in range(starts[i], starts[i + 1]):
            here = cost[e] + price[sink[e]]
            if here < best:
                best, second, at = here, best, e
            elif here < second:
                second = here
        j = sink[at]
        price[j] += eps if second == np.inf else second - best + eps
        mate[i], mate_cost[i] = j, cost[at]
        if owner[j] >= 0:
            mate[owner[j]] = -1
            free[count - 1] = owner[j]
        else:
            count -= 1
        owner[j] = i
        done += 1
    return count, done
