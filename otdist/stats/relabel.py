"""Null distributions of W1 for many columns at once, and p-values that stop once they are decided.

An engine relabels the pooled rows of one or several columns at random and measures each relabelling. A
:class:`RelabellingTest` counts how often that is at least the distance observed.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from otdist.distance import emd
from otdist.progress import Progress, ignore_progress
from otdist.stats.draws import random_subset

Array = NDArray[np.float64]
Counts = NDArray[np.int64]

ENOUGH = 20  # relabellings at least as far apart, after which a p-value is precise enough
TIE = 1e-9  # two equal splits may differ by rounding; counting them as equal is conservative
BATCH_ENTRIES = 2**20  # labels drawn at a time
BATCH_DRAWS = 32  # relabellings between two looks at which tests go on
GROUPS = 1024  # groups that more values than LONG are brought to
LONG = 20_000  # pooled rows beyond which values are brought to groups
GAP_BLOCK = 2**20  # values whose gaps are compared at a time


class Engine(Protocol):
    """Draws relabellings; the state of its generator goes on from call to call."""

    def draw(self, which: Sequence[int], count: int) -> Array:
        """Distances of ``count`` relabellings, shape (count, len(which))."""


@dataclass(eq=False)
class RelabellingTest:
    """Permutation test that stops after ``ENOUGH`` relabellings at least as far apart as the data.

    Notes
    -----
    Besag, Clifford (1991), *Sequential Monte Carlo p-values*: with h exceedances after L draws the p-value
    is h / L; otherwise, with g after N, it is (g + 1) / (N + 1). Both are valid at every level.
    """

    engine: Engine
    index: int
    observed: float
    exceeded: int = 0
    draws: int = 0

    @property
    def ended(self) -> bool:
        """Whether enough relabellings were as far apart."""
        return self.exceeded >= ENOUGH

    @property
    def pvalue(self) -> float:
        """P-value of the relabellings so far."""
        if self.ended:
            return self.exceeded / self.draws
        return (self.exceeded + 1) / (self.draws + 1)

    def record(self, distances: Array) -> None:
        """Count distances up to the one that ends the test."""
        # A relabelling that leaves a side without weight has no distance, and counts as far apart.
        hits = np.cumsum(~(distances < self.observed * (1 - TIE)))
        if len(hits) and hits[-1] >= ENOUGH - self.exceeded:
            last = int(np.searchsorted(hits, ENOUGH - self.exceeded))
            self.draws, self.exceeded = self.draws + last + 1, ENOUGH
        else:
            self.draws, self.exceeded = self.draws + len(hits), self.exceeded + int(hits[-1])


def advance(
    tests: Sequence[RelabellingTest], total: int, report_progress: Progress = ignore_progress
) -> None:
    """Relabel until every test has ended or has made ``total`` draws."""
    engines = {id(test.engine): test.engine for test in tests}
    for key, engine in engines.items():
        own = [test for test in tests if id(test.engine) == key]
        while active := [test for test in own if not test.ended and test.draws < total]:
            ended = sum(test.ended for test in tests)
            report_progress(f"{ended} of {len(tests)} ended, {active[0].draws:,} of {total:,} relabellings")
            # Tests of one engine are in step: each batch serves all that are still active.
            count = min(BATCH_DRAWS, total - active[0].draws)
            distances = engine.draw([test.index for test in active], count)
            for test, column in zip(active, distances.T, strict=True):
                test.record(column)


@dataclass(eq=False)
class SharedLine:
    """Columns of numbers of the same sizes: one relabelling in order of size serves all of them.

    Parameters
    ----------
    widths : ndarray, shape (N - 1, columns)
        Differences of neighbours in each column's pooled values, 0 between ties.
    k, l : int
        Rows of the two parts; ``k + l <= N``.
    rng : Generator
        Source of the relabellings.
    """

    widths: Array
    k: int
    l: int  # noqa: E741
    rng: np.random.Generator

    def draw(self, which: Sequence[int], count: int) -> Array:
        """Distances of ``count`` relabellings of some of the columns."""
        size = len(self.widths) + 1
        widths = self.widths if len(which) == self.widths.shape[1] else self.widths[:, list(which)]
        labels = np.zeros(size, dtype=np.int64)
        labels[: self.k], labels[self.k : self.k + self.l] = self.l, -self.k
        out = np.empty((count, len(which)))
        step = max(1, BATCH_ENTRIES // size)
        for first in range(0, count, step):
            part = slice(first, min(first + step, count))
            heights = self.rng.permuted(np.tile(labels, (part.stop - first, 1)), axis=1)
            # Whole numbers far below 2**53 until the product.
            np.abs(np.cumsum(heights, axis=1, out=heights), out=heights)
            out[part] = heights[:, :-1].astype(np.float64) @ widths
        return out / (self.k * self.l)


@dataclass(eq=False)
class CountedLine:
    """Values on the line that many rows share, as counts: hypergeometric relabellings."""

    counts: Counts
    widths: Array
    k: int
    l: int  # noqa: E741
    rng: np.random.Generator

    def measure(self, left: Counts, right: Counts) -> Array:
        """Distances between counts, shape (draws, groups) each."""
        heights = _heights(left, right, self.k, self.l)
        return np.asarray(np.abs(heights[:, :-1]) @ self.widths)

    def draw(self, which: Sequence[int], count: int) -> Array:
        """Distances of ``count`` relabellings, one column."""
        return self.measure(*_split_counts(self.counts, self.k, self.l, count, self.rng))[:, None]


@dataclass(eq=False)
class CountedCircle(CountedLine):
    """As :class:`CountedLine` on a circle: the last of the widths leads from the last value to the first.

    Notes
    -----
    The distance is the area between the distribution functions after their weighted median is subtracted:
    Werman, Peleg, Melter, Kong (1986), *Bipartite graph matching for points on a line or a circle*.
    """

    def measure(self, left: Counts, right: Counts) -> Array:
        """Distances between counts, shape (draws, groups) each."""
        return _around(_heights(left, right, self.k, self.l), self.widths)


@dataclass(eq=False)
class CountedLabels:
    """Labels with the 0/1 cost: total variation of hypergeometric relabellings.

    ``absences``: add the shares of rows whose label the other side does not have, as
    :func:`label_distance` does.
    """

    counts: Counts
    k: int
    l: int  # noqa: E741
    rng: np.random.Generator
    absences: bool = False

    def draw(self, which: Sequence[int], count: int) -> Array:
        """Distances of ``count`` relabellings, one column."""
        # Labels that occur once are alike: only how many of them fall on each side counts.
        single = int((self.counts == 1).sum())
        counts = np.append(self.counts[self.counts > 1], single)
        step = max(1, BATCH_ENTRIES // len(counts))
        out = [self._distances(counts, min(step, count - first)) for first in range(0, count, step)]
        return np.concatenate(out)[:, None]

    def _distances(self, counts: Counts, size: int) -> Array:
        left, right = _split_counts(counts, self.k, self.l, size, self.rng)
        x, y = left[:, :-1] / self.k, right[:, :-1] / self.l
        alone = left[:, -1] / self.k + right[:, -1] / self.l
        if self.absences:
            return label_distance(x, y) + 1.5 * alone
        return np.asarray((np.abs(x - y).sum(axis=1) + alone) / 2)


def label_distance(x: Array, y: Array) -> Array:
    """Total variation between shares of labels, plus the shares of labels that the other side does not have.

    A label that appears or vanishes is a stronger sign of a change than an equal change of frequent labels.
    Shapes (..., labels).
    """
    absent = np.where(y == 0, x, 0.0) + np.where(x == 0, y, 0.0)
    return np.asarray(np.abs(x - y).sum(axis=-1) / 2 + absent.sum(axis=-1))


@dataclass(frozen=True, eq=False)
class Units:
    """Rows that are relabelled together: groups, blocks of time, or single rows with weights.

    Attributes
    ----------
    of_row : ndarray of int, shape (N,)
        Unit of each pooled row.
    mass : ndarray, shape (N,)
        Weight of each row.
    first : int
        Units 0 to ``first - 1`` belong to the reference.
    count : int
        Number of units.
    """

    of_row: NDArray[np.intp]
    mass: Array
    first: int
    count: int

    def taken(self, rows: NDArray[Any]) -> Units:
        """The same for some of the rows, in an order."""
        return Units(self.of_row[rows], self.mass[rows], self.first, self.count)

    def signed(self, chosen: NDArray[np.bool_]) -> Array | None:
        """Masses of the rows, those of chosen units positive, with total 1 on each side.

        None where one side is left without mass.
        """
        inside = chosen[self.of_row]
        left, right = float(self.mass[inside].sum()), float(self.mass[~inside].sum())
        if left <= 0 or right <= 0:
            return None
        return np.where(inside, self.mass / left, -self.mass / right)


@dataclass(eq=False)
class UnitsLine:
    """Values on the line, or on a circle (``closed``), whose rows are relabelled by units."""

    widths: Array
    units: Units
    rng: np.random.Generator
    closed: bool = False

    def measure(self, chosen: NDArray[np.bool_]) -> float:
        """Distance between the rows of chosen units and the others."""
        signed = self.units.signed(chosen)
        if signed is None:
            return math.nan
        heights = np.cumsum(signed)
        if self.closed:
            return float(_around(heights[None], self.widths)[0])
        return float(np.abs(heights[:-1]) @ self.widths)

    def draw(self, which: Sequence[int], count: int) -> Array:
        """Distances of ``count`` relabellings, one column."""
        return _unit_draws(self.measure, self.units, count, self.rng)


@dataclass(eq=False)
class UnitsLabels:
    """Labels whose rows are relabelled by units; ``absences`` as in :class:`CountedLabels`."""

    codes: NDArray[np.intp]
    size: int
    units: Units
    rng: np.random.Generator
    absences: bool = False

    def measure(self, chosen: NDArray[np.bool_]) -> float:
        """Distance between the rows of chosen units and the others."""
        signed = self.units.signed(chosen)
        if signed is None:
            return math.nan
        if self.absences:
            sides = (np.maximum(signed, 0.0), np.maximum(-signed, 0.0))
            x, y = (np.bincount(self.codes, side, self.size).astype(np.float64) for side in sides)
            return float(label_distance(x, y))
        return float(np.abs(np.bincount(self.codes, signed, self.size)).sum()) / 2

    def draw(self, which: Sequence[int], count: int) -> Array:
        """Distances of ``count`` relabellings, one column."""
        return _unit_draws(self.measure, self.units, count, self.rng)


@dataclass(eq=False)
class UnitsMatrix:
    """Rows with any cost between them, relabelled by units: an exact solve for each relabelling."""

    cost: Array
    units: Units
    rng: np.random.Generator

    def measure(self, chosen: NDArray[np.bool_]) -> float:
        """Distance between the rows of chosen units and the others."""
        inside = chosen[self.units.of_row]
        left, right = self.units.mass[inside], self.units.mass[~inside]
        if not (left.any() and right.any()):
            return math.nan
        return float(emd(self.cost[np.ix_(inside, ~inside)], left, right))

    def draw(self, which: Sequence[int], count: int) -> Array:
        """Distances of ``count`` relabellings, one column."""
        return _unit_draws(self.measure, self.units, count, self.rng)


def _unit_draws(measure: Any, units: Units, count: int, rng: np.random.Generator) -> Array:
    return np.array([[measure(random_subset(units.count, units.first, rng))] for _ in range(count)])


def _heights(left: Counts, right: Counts, k: int, l: int) -> Array:  # noqa: E741
    """Differences of the distribution functions after each group; whole numbers until the division."""
    heights = np.cumsum(left, axis=1) * l - np.cumsum(right, axis=1) * k
    return heights / (k * l)


def _around(heights: Array, widths: Array) -> Array:
    """Areas on a circle: the weighted median of each row is subtracted."""
    order = np.argsort(heights, axis=1)
    upto = np.cumsum(widths[order], axis=1)
    middle = (upto < upto[:, -1:] / 2).sum(axis=1)
    medians = heights[np.arange(len(heights)), order[np.arange(len(heights)), middle]]
    return np.asarray(np.abs(heights - medians[:, None]) @ widths)


def _split_counts(
    counts: Counts,
    k: int,
    l: int,  # noqa: E741
    size: int,
    rng: np.random.Generator,
) -> tuple[Counts, Counts]:
    """Counts of k and of l rows drawn without replacement, ``size`` times."""
    left = rng.multivariate_hypergeometric(counts, k, size=size)
    rest = counts - left
    if k + l < int(counts.sum()):
        rest = np.array([rng.multivariate_hypergeometric(row, l) for row in rest])
    return left, rest


def grouped(values: Array) -> tuple[Array, Counts]:
    """Places and counts of pooled sorted values: those that differ, or groups of neighbours.

    Beyond ``LONG`` values, groups end at equal numbers of rows and at the widest gaps, never between ties.
    A relabelling test of the distance between groups is as exact as one of the values.
    """
    starts = _group_starts(values)
    counts = np.diff(np.append(starts, len(values)))
    last = values[starts + counts - 1]
    means = np.clip(np.add.reduceat(values, starts) / counts, values[starts], last)
    return means, counts


def _group_starts(values: Array) -> NDArray[np.intp]:
    if len(values) <= LONG:
        return np.concatenate([[0], np.flatnonzero(np.diff(values) > 0) + 1])
    kept = np.empty(0, dtype=np.intp)
    distinct = 1
    # Block by block: the gaps of all values would take several times their memory.
    for first in range(0, len(values) - 1, GAP_BLOCK):
        block = values[first : first + GAP_BLOCK + 1]
        starts = first + 1 + np.flatnonzero(block[1:] > block[:-1])
        distinct += len(starts)
        kept = np.concatenate([kept, starts])
        if distinct > GROUPS:
            kept = kept[_widest(values[kept] - values[kept - 1])]
    if distinct <= GROUPS:
        return np.concatenate([[0], kept])
    even = np.linspace(0, len(values), GROUPS // 2, endpoint=False).astype(np.intp)
    even = np.searchsorted(values, values[even])  # a boundary within ties moves to their first
    return np.unique(np.concatenate([[0], even, kept]))


def _widest(gaps: Array) -> NDArray[np.intp]:
    """Places of the widest gaps, as many as half of the groups."""
    most = GROUPS // 2
    return np.argpartition(gaps, -most)[-most:] if len(gaps) > most else np.arange(len(gaps))


def share_pvalue(a: int, n: int, b: int, m: int) -> float:
    """Exact permutation p-value of the difference between the shares a / n and b / m.

    Sums over the hypergeometric distribution of relabellings; no draws.
    """
    from scipy.stats import hypergeom

    total = a + b
    if total in (0, n + m):
        return 1.0
    law = hypergeom(n + m, total, n)
    observed = abs(a * m - b * n)  # whole numbers: ties are ties
    # |i m - (total - i) n| >= observed on both sides of the mean.
    span = n + m
    low = (total * n - observed) // span
    high = -(-(total * n + observed) // span)
    pvalue = float(law.cdf(low)) + float(law.sf(high - 1))
    return min(max(pvalue, 0.0), 1.0)
