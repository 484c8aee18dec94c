"""Exact optimal transport of small problems in rational arithmetic: the oracle of proved intervals.

Nothing here rounds but roots, which are taken to 2**-400 of their size.
"""

from __future__ import annotations

import math
from fractions import Fraction

ROOT_BITS = 400  # of a root: far below anything float64 can show


def transport(cost, a, b):
    """Optimal value of a balanced transport problem, as a fraction.

    ``cost``: rows of numbers; ``a``, ``b``: masses, each divided by its sum as the library does.
    Successive shortest paths on the dense bipartite graph, in whole numbers.
    """
    table = [[Fraction(entry) for entry in row] for row in cost]
    unit = math.lcm(*(entry.denominator for row in table for entry in row))
    whole = [[int(entry * unit) for entry in row] for row in table]
    left, right = ([Fraction(float(w)) for w in side] for side in (a, b))
    sums = sum(left), sum(right)
    left, right = [w * sums[1] for w in left], [w * sums[0] for w in right]
    grain = math.lcm(*(w.denominator for w in left + right))
    supply, demand = ([int(w * grain) for w in side] for side in (left, right))
    value = _Flow(whole, supply, demand).solve()
    return Fraction(value, unit) / (grain * sums[0] * sums[1])


class _Flow:
    """Cheapest flow between rows with supplies and columns with demands; all in whole numbers."""

    def __init__(self, cost, supply, demand):
        self.cost, self.supply, self.demand = cost, list(supply), list(demand)
        self.flow = [[0] * len(demand) for _ in supply]
        self.f = [0] * len(supply)
        self.g = [min(row[j] for row in cost) for j in range(len(demand))]  # cost - f - g >= 0

    def reduced(self, i, j):
        return self.cost[i][j] - self.f[i] - self.g[j]

    def solve(self):
        while any(self.supply):
            end = self.search()
            self.augment(end)
        pairs = ((i, j) for i in range(len(self.supply)) for j in range(len(self.demand)))
        return sum(self.flow[i][j] * self.cost[i][j] for i, j in pairs)

    def search(self):
        """Dijkstra from all rows with supply to the nearest column with demand; moves the potentials."""
        self.before = {}
        distance = {("row", i): 0 for i, left in enumerate(self.supply) if left}
        done = {}
        while True:
            node = min((key for key in distance if key not in done), key=distance.__getitem__)
            done[node] = distance[node]
            side, k = node
            if side == "col" and self.demand[k]:
                break
            for other, length in self.steps(side, k):
                if other not in done and done[node] + length < distance.get(other, math.inf):
                    distance[other], self.before[other] = done[node] + length, node
        for (side, index), length in done.items():
            if side == "row":
                self.f[index] += done[node] - length
            else:
                self.g[index] -= done[node] - length
        return k

    def steps(self, side, k):
        if side == "row":
            return [(("col", j), self.reduced(k, j)) for j in range(len(self.demand))]
        return [(("row", i), 0) for i in range(len(self.supply)) if self.flow[i][k]]

    def augment(self, end):
        """Send as much as possible along the path that was found."""
        node, path = ("col", end), []
        while node in self.before:
            path.append((self.before[node], node))
            node = self.before[node]
        back = [self.flow[node[1]][before[1]] for before, node in path if before[0] == "col"]
        step = min([self.supply[node[1]], self.demand[end], *back])
        self.supply[node[1]] -= step
        self.demand[end] -= step
        for (side, k), (_, other) in path:
            if side == "row":
                self.flow[k][other] += step
            else:
                self.flow[other][k] -= step


def root(value, k):
    """``value ** (1 / k)`` for k = 1, 2, 4, 8, ...: repeated square roots."""
    value = Fraction(value)
    while k > 1:
        if value == 0:
            return value
        shift = max(0, ROOT_BITS - value.numerator.bit_length() + value.denominator.bit_length())
        shift += shift % 2
        scaled = (value.numerator << shift) // value.denominator
        value = Fraction(math.isqrt(scaled), 1 << (shift // 2))
        k //= 2
    return value


def power(value, p):
    """``value ** p`` for p a multiple of 1/4."""
    quarters = Fraction(p) * 4
    assert quarters.denominator == 1
    exact = Fraction(value) ** int(quarters)
    return root(exact, 4)


def euclidean_costs(x, y, p):
    """``|x_i - y_j|**p`` for points as rows of floats; p a multiple of 1/2."""
    left, right = ([[Fraction(float(c)) for c in point] for point in z] for z in (x, y))
    squares = [[sum((s - t) ** 2 for s, t in zip(u, v, strict=True)) for v in right] for u in left]
    return [[power(square, Fraction(p) / 2) for square in row] for row in squares]


def cityblock_costs(x, y, p):
    """City-block distances to the power p."""
    return [[power(entry, p) for entry in row] for row in _column_costs(x, y, sum)]


def chebyshev_costs(x, y, p):
    """Chebyshev distances to the power p."""
    return [[power(entry, p) for entry in row] for row in _column_costs(x, y, max)]


def _column_costs(x, y, join):
    left, right = ([[Fraction(float(c)) for c in point] for point in z] for z in (x, y))
    return [[join(abs(s - t) for s, t in zip(u, v, strict=True)) for v in right] for u in left]


def contains(result, cost, p=1, rooted=True):
    """Whether the proved interval of a result contains the exact distance, given the exact cost."""
    power_of = p if rooted else 1
    low, high = (power(Fraction(bound), power_of) for bound in (result.lower, result.upper))
    grain = Fraction(1, 2 ** (ROOT_BITS - 40))  # of the roots taken above
    return low * (1 - grain) <= cost <= high * (1 + grain)
