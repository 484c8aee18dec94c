"""Permutation distributions of W1 for many columns at once, and sequential p-values.

An engine relabels the pooled rows of one or several columns at random and computes the distance of each
relabelling. A :class:`RelabellingTest` counts how often it is at least the observed distance.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from otdist.api.emd import emd
from otdist.runtime.progress import Progress, ignore_progress
from otdist.stats.draws import draw_subset
from otdist.typing import Array, Index, Integers, Mask

Counts = Integers

MAX_EXCEEDANCES = 20  # exceedances of the observed distance after which a test stops
TIE_TOLERANCE = 1e-9  # relative; equal splits may differ by rounding, and ties count as exceedances
RELABELLING_BATCH_LABELS = 2**20  # labels drawn at a time
BATCH_DRAWS = 32  # relabellings between two checks of which tests have ended
TARGET_GROUPS = 1024  # approximate number of groups for more than MAX_UNGROUPED_ROWS values
MAX_UNGROUPED_ROWS = 20_000  # pooled rows above which values are grouped
GAP_BLOCK_VALUES = 2**20  # values whose gaps are compared at a time


class Engine(Protocol):
    """Source of relabellings; the state of its generator advances from call to call."""

    def draw(self, indices: Sequence[int], count: int) -> Array:
        """Return distances of ``count`` relabellings, shape (count, len(indices))."""


@dataclass(eq=False)
class RelabellingTest:
    """Permutation test that stops after ``MAX_EXCEEDANCES`` distances that are at least the observed one.

    Notes
    -----
    Besag, Clifford (1991), *Sequential Monte Carlo p-values*: with h exceedances after L draws the p-value
    is h / L; otherwise, with g after N, it is (g + 1) / (N + 1). Both are valid at every level.
    """

    engine: Engine
    index: int
    observed: float
    exceedances: int = 0
    draws: int = 0

    @property
    def ended(self) -> bool:
        """Whether the number of exceedances has reached ``MAX_EXCEEDANCES``."""
        return self.exceedances >= MAX_EXCEEDANCES

    @property
    def pvalue(self) -> float:
        """P-value from the relabellings so far."""
        if self.ended:
            return self.exceedances / self.draws
        return (self.exceedances + 1) / (self.draws + 1)

    def record(self, distances: Array) -> None:
        """Count exceedances up to the one that ends the test."""
        # A relabelling that leaves a side without weight has no distance (NaN): an exceedance.
        hits = np.cumsum(~(distances < self.observed * (1 - TIE_TOLERANCE)))
        if len(hits) and hits[-1] >= MAX_EXCEEDANCES - self.exceedances:
            last = int(np.searchsorted(hits, MAX_EXCEEDANCES - self.exceedances))
            self.draws, self.exceedances = self.draws + last + 1, MAX_EXCEEDANCES
        else:
            self.draws, self.exceedances = self.draws + len(hits), self.exceedances + int(hits[-1])


def advance(
    tests: Sequence[RelabellingTest], total: int, report_progress: Progress = ignore_progress
) -> None:
    """Relabel until every test has ended or used ``total`` draws."""
    engines = {id(test.engine): test.engine for test in tests}
    for key, engine in engines.items():
        members = [test for test in tests if id(test.engine) == key]
        while active := [test for test in members if not test.ended and test.draws < total]:
            ended = sum(test.ended for test in tests)
            report_progress(f"{ended} of {len(tests)} ended, {active[0].draws:,} of {total:,} relabellings")
            # Tests of one engine have equal numbers of draws: each batch serves all that are still active.
            count = min(BATCH_DRAWS, total - active[0].draws)
            distances = engine.draw([test.index for test in active], count)
            for test, column in zip(active, distances.T, strict=True):
                test.record(column)


@dataclass(eq=False)
class SharedLine:
    """Numeric columns of equal sizes, which share relabellings of the ranks.

    Parameters
    ----------
    widths : ndarray, shape (N - 1, columns)
        Differences of consecutive sorted values in each column's pool, 0 between ties.
    k, l : int
        Rows of the two parts; ``k + l <= N``.
    rng : Generator
        Source of the relabellings.
    """

    widths: Array
    k: int
    l: int  # noqa: E741
    rng: np.random.Generator

    def draw(self, indices: Sequence[int], count: int) -> Array:
        """Return distances of ``count`` relabellings for the columns of the given indices."""
        size = len(self.widths) + 1
        widths = self.widths if len(indices) == self.widths.shape[1] else self.widths[:, list(indices)]
        labels = np.zeros(size, dtype=np.int64)
        labels[: self.k], labels[self.k : self.k + self.l] = self.l, -self.k
        out = np.empty((count, len(indices)))
        step = max(1, RELABELLING_BATCH_LABELS // size)
        for first in range(0, count, step):
            part = slice(first, min(first + step, count))
            heights = self.rng.permuted(np.tile(labels, (part.stop - first, 1)), axis=1)
            # Whole numbers far below 2**53 until the product.
            np.abs(np.cumsum(heights, axis=1, out=heights), out=heights)
            out[part] = heights[:, :-1].astype(np.float64) @ widths
        return out / (self.k * self.l)


@dataclass(eq=False)
class CountedLine:
    """Distinct values on the line with their counts: hypergeometric relabellings."""

    counts: Counts
    widths: Array
    k: int
    l: int  # noqa: E741
    rng: np.random.Generator

    def measure(self, left: Counts, right: Counts) -> Array:
        """Distances between counts, shape (draws, groups) each."""
        heights = _compute_heights(left, right, self.k, self.l)
        return np.asarray(np.abs(heights[:, :-1]) @ self.widths)

    def draw(self, indices: Sequence[int], count: int) -> Array:
        """Distances of ``count`` relabellings, one column."""
        return self.measure(*_split_counts(self.counts, self.k, self.l, count, self.rng))[:, None]


@dataclass(eq=False)
class CountedCircle(CountedLine):
    """As :class:`CountedLine` on a circle: the last width is the arc from the last value to the first.

    Notes
    -----
    The distance is the integral of ``|F - G - c|``, where c is the weighted median of the difference of the
    distribution functions:
    Werman, Peleg, Melter, Kong (1986), *Bipartite graph matching for points on a line or a circle*.
    """

    def measure(self, left: Counts, right: Counts) -> Array:
        """Distances between counts, shape (draws, groups) each."""
        return _integrate_on_circle(_compute_heights(left, right, self.k, self.l), self.widths)


@dataclass(eq=False)
class CountedLabels:
    """Labels with the 0/1 cost: total variation of hypergeometric relabellings.

    ``absences``: add the shares of rows whose label does not occur on the other side, as
    :func:`compute_label_distance` does.
    """

    counts: Counts
    k: int
    l: int  # noqa: E741
    rng: np.random.Generator
    absences: bool = False

    def draw(self, indices: Sequence[int], count: int) -> Array:
        """Distances of ``count`` relabellings, one column."""
        # Labels that occur once are exchangeable: only their number on each side matters.
        n_singletons = int((self.counts == 1).sum())
        counts = np.append(self.counts[self.counts > 1], n_singletons)
        step = max(1, RELABELLING_BATCH_LABELS // len(counts))
        out = [self._compute_distances(counts, min(step, count - first)) for first in range(0, count, step)]
        return np.concatenate(out)[:, None]

    def _compute_distances(self, counts: Counts, size: int) -> Array:
        left, right = _split_counts(counts, self.k, self.l, size, self.rng)
        x, y = left[:, :-1] / self.k, right[:, :-1] / self.l
        singletons = left[:, -1] / self.k + right[:, -1] / self.l
        if self.absences:
            return compute_label_distance(x, y) + 1.5 * singletons
        return np.asarray((np.abs(x - y).sum(axis=1) + singletons) / 2)


def compute_label_distance(x: Array, y: Array) -> Array:
    """Compute the total variation between shares of labels, plus the shares of labels that one side lacks.

    A label that appears or disappears is stronger evidence of a change than an equal change of frequent
    labels. Shapes (..., labels).
    """
    absent = np.where(y == 0, x, 0.0) + np.where(x == 0, y, 0.0)
    return np.asarray(np.abs(x - y).sum(axis=-1) / 2 + absent.sum(axis=-1))


@dataclass(frozen=True, eq=False)
class Units:
    """Units of rows that are relabelled together: groups, blocks of time, or single rows with weights.

    Attributes
    ----------
    row_units : ndarray of int, shape (N,)
        Unit of each pooled row.
    mass : ndarray, shape (N,)
        Weight of each row.
    n_reference : int
        Number of units of the reference: units 0 to ``n_reference - 1``.
    n_units : int
        Number of units.
    """

    row_units: Index
    mass: Array
    n_reference: int
    n_units: int

    def take(self, rows: Index | Mask) -> Units:
        """Return the units of some of the rows, in the order of ``rows``."""
        return Units(self.row_units[rows], self.mass[rows], self.n_reference, self.n_units)

    def compute_signed_masses(self, selection: Mask) -> Array | None:
        """Compute signed masses of the rows: positive in selected units, else negative, with total 1 a side.

        None where one side has no mass.
        """
        inside = selection[self.row_units]
        left, right = float(self.mass[inside].sum()), float(self.mass[~inside].sum())
        if left <= 0 or right <= 0:
            return None
        return np.where(inside, self.mass / left, -self.mass / right)


@dataclass(eq=False)
class UnitsLine:
    """Values on the line, or on a circle (``circular``), relabelled by units."""

    widths: Array
    units: Units
    rng: np.random.Generator
    circular: bool = False

    def measure(self, selection: Mask) -> float:
        """Distance between the rows of the selected units and all other rows."""
        masses = self.units.compute_signed_masses(selection)
        if masses is None:
            return math.nan
        heights = np.cumsum(masses)
        if self.circular:
            return float(_integrate_on_circle(heights[None], self.widths)[0])
        return float(np.abs(heights[:-1]) @ self.widths)

    def draw(self, indices: Sequence[int], count: int) -> Array:
        """Distances of ``count`` relabellings, one column."""
        return _draw_unit_distances(self.measure, self.units, count, self.rng)


@dataclass(eq=False)
class UnitsLabels:
    """Labels relabelled by units; ``absences`` as in :class:`CountedLabels`."""

    codes: Index
    size: int
    units: Units
    rng: np.random.Generator
    absences: bool = False

    def measure(self, selection: Mask) -> float:
        """Distance between the rows of the selected units and all other rows."""
        masses = self.units.compute_signed_masses(selection)
        if masses is None:
            return math.nan
        if self.absences:
            sides = (np.maximum(masses, 0.0), np.maximum(-masses, 0.0))
            x, y = (np.bincount(self.codes, side, self.size).astype(np.float64) for side in sides)
            return float(compute_label_distance(x, y))
        return float(np.abs(np.bincount(self.codes, masses, self.size)).sum()) / 2

    def draw(self, indices: Sequence[int], count: int) -> Array:
        """Distances of ``count`` relabellings, one column."""
        return _draw_unit_distances(self.measure, self.units, count, self.rng)


@dataclass(eq=False)
class UnitsMatrix:
    """Rows with any pairwise cost, relabelled by units: one exact solve for each relabelling."""

    cost: Array
    units: Units
    rng: np.random.Generator

    def measure(self, selection: Mask) -> float:
        """Distance between the rows of the selected units and all other rows."""
        inside = selection[self.units.row_units]
        left, right = self.units.mass[inside], self.units.mass[~inside]
        if not (left.any() and right.any()):
            return math.nan
        return float(emd(self.cost[np.ix_(inside, ~inside)], left, right))

    def draw(self, indices: Sequence[int], count: int) -> Array:
        """Distances of ``count`` relabellings, one column."""
        return _draw_unit_distances(self.measure, self.units, count, self.rng)


def _draw_unit_distances(
    measure: Callable[[Mask], float], units: Units, count: int, rng: np.random.Generator
) -> Array:
    return np.array([[measure(draw_subset(units.n_units, units.n_reference, rng))] for _ in range(count)])


def _compute_heights(left: Counts, right: Counts, k: int, l: int) -> Array:  # noqa: E741
    """Compute differences of the distribution functions after each group; integers until the division."""
    heights = np.cumsum(left, axis=1) * l - np.cumsum(right, axis=1) * k
    return heights / (k * l)


def _integrate_on_circle(heights: Array, widths: Array) -> Array:
    """Integrate the absolute difference of each row to its weighted median."""
    order = np.argsort(heights, axis=1)
    cumulative = np.cumsum(widths[order], axis=1)
    middle = (cumulative < cumulative[:, -1:] / 2).sum(axis=1)
    medians = heights[np.arange(len(heights)), order[np.arange(len(heights)), middle]]
    return np.asarray(np.abs(heights - medians[:, None]) @ widths)


def _split_counts(
    counts: Counts,
    k: int,
    l: int,  # noqa: E741
    size: int,
    rng: np.random.Generator,
) -> tuple[Counts, Counts]:
    """Draw counts of k and of l rows without replacement, ``size`` times."""
    left = rng.multivariate_hypergeometric(counts, k, size=size)
    right = counts - left
    if k + l < int(counts.sum()):
        right = np.array([rng.multivariate_hypergeometric(row, l) for row in right])
    return left, right


def group_values(values: Array) -> tuple[Array, Counts]:
    """Group sorted pooled values: distinct values, or means of neighbours, and their counts.

    Beyond ``MAX_UNGROUPED_ROWS`` values, groups end at equal numbers of rows and at the widest gaps, never
    between ties. A relabelling test of the distance between groups is as exact as one of the values.
    """
    starts = _find_group_starts(values)
    counts = np.diff(np.append(starts, len(values)))
    last = values[starts + counts - 1]
    means = np.clip(np.add.reduceat(values, starts) / counts, values[starts], last)
    return means, counts


def _find_group_starts(values: Array) -> Index:
    if len(values) <= MAX_UNGROUPED_ROWS:
        return np.concatenate([[0], np.flatnonzero(np.diff(values) > 0) + 1])
    wide_starts = np.empty(0, dtype=np.intp)
    distinct = 1
    # Block by block: the gaps of all values would take several times their memory.
    for first in range(0, len(values) - 1, GAP_BLOCK_VALUES):
        block = values[first : first + GAP_BLOCK_VALUES + 1]
        starts = first + 1 + np.flatnonzero(block[1:] > block[:-1])
        distinct += len(starts)
        wide_starts = np.concatenate([wide_starts, starts])
        if distinct > TARGET_GROUPS:
            wide_starts = wide_starts[_select_widest(values[wide_starts] - values[wide_starts - 1])]
    if distinct <= TARGET_GROUPS:
        return np.concatenate([[0], wide_starts])
    even = np.linspace(0, len(values), TARGET_GROUPS // 2, endpoint=False).astype(np.intp)
    even = np.searchsorted(values, values[even])  # a boundary within ties moves to the first of them
    return np.unique(np.concatenate([[0], even, wide_starts]))


def _select_widest(gaps: Array) -> Index:
    """Return indices of the widest gaps, at most ``TARGET_GROUPS // 2`` of them."""
    count = TARGET_GROUPS // 2
    return np.argpartition(gaps, -count)[-count:] if len(gaps) > count else np.arange(len(gaps))


def compute_share_pvalue(a: int, n: int, b: int, m: int) -> float:
    """Compute the exact permutation p-value of the difference between the shares a / n and b / m.

    Sums over the hypergeometric distribution of relabellings; needs no draws.
    """
    from scipy.stats import hypergeom

    total = a + b
    if total in (0, n + m):
        return 1.0
    distribution = hypergeom(n + m, total, n)
    observed = abs(a * m - b * n)  # integers: ties are exact
    # |i m - (total - i) n| >= observed on both sides of the mean.
    span = n + m
    low = (total * n - observed) // span
    high = -(-(total * n + observed) // span)
    pvalue = float(distribution.cdf(low)) + float(distribution.sf(high - 1))
    return min(max(pvalue, 0.0), 1.0)
