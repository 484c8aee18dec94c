"""Permutation test of the largest change of a rank correlation between two columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from otdist.progress import Progress, ignore_progress
from otdist.stats.draws import random_subset
from otdist.stats.relabel import RelabellingTest, Units, advance
from otdist.tables.chance import Design
from otdist.tables.column import Column
from otdist.tables.comparison import DependenceReport
from otdist.tables.sample import DEPENDENCE_ROWS, Pair, Rows, RowSample, SampledPair

Array = NDArray[np.float64]

SMALL_PRODUCT = 2**24  # multiplications of a matrix product that takes no threads
MOST_WORK = 2e8  # rows times pairs of features of one relabelling
MOST_LABELS = 6  # the most frequent ones of a column count as features
RARE = 0.02  # share below which a label or a gap is no feature
CLIP = 0.999  # of a correlation, whose transform is infinite at 1


@dataclass(eq=False)
class Features:
    """Columns as numbers between which correlations are computed.

    Ranks of numbers, and 0 or 1 for frequent labels and for gaps; a missing number has the mean rank.
    """

    values: Array
    owner: NDArray[np.intp]
    names: tuple[str, ...]

    @classmethod
    def of(cls, pairs: Sequence[Pair], rows: tuple[Rows, Rows]) -> Features:
        """Encode some rows of both sides, the reference first."""
        values, owner, names = [], [], []
        for k, (old, new) in enumerate(pairs):
            pooled = np.concatenate([old.values[rows[0]], new.values[rows[1]]])
            for suffix, feature in _features(old, pooled):
                values.append(feature)
                owner.append(k)
                names.append(f"{old.name}{suffix}")
        table = np.column_stack(values) if values else np.empty((len(rows[0]) + len(rows[1]), 0))
        return cls(table, np.array(owner, dtype=np.intp), tuple(names))

    @property
    def pairs(self) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Pairs of features of different columns."""
        i, j = np.triu_indices(len(self.owner), 1)
        other = self.owner[i] != self.owner[j]
        return i[other], j[other]


@dataclass(eq=False)
class ChangeOfCorrelations:
    """Largest change of a correlation, on the scale of Fisher's transform, for relabellings by units."""

    features: Features
    units: Units
    rng: np.random.Generator

    def __post_init__(self) -> None:
        self.pairs = self.features.pairs
        centred = self.features.values - self.features.values.mean(axis=0)
        self.centred = centred
        self.weighted = centred * self.units.mass[:, None]
        self.of_all = self._moments(np.ones(len(centred), dtype=bool))

    def correlations(self, chosen: NDArray[np.bool_]) -> tuple[Array, Array]:
        """Correlations of all pairs, within the rows of chosen units and within the others."""
        inside = chosen[self.units.of_row]
        few = inside if 2 * np.count_nonzero(inside) <= len(inside) else ~inside
        sums = self._moments(few)
        # The sums of all rows less those of some are those of the others.
        others = (
            self.of_all[0] - sums[0],
            self.of_all[1] - sums[1],
            self.of_all[2] - sums[2],
        )
        sides = (sums, others) if few is inside else (others, sums)
        return self._correlations(*sides[0]), self._correlations(*sides[1])

    def _moments(self, rows: NDArray[np.bool_]) -> tuple[float, Array, Array]:
        """Mass of some rows, and sums of their features and of products of these."""
        left, right = self.weighted[rows], self.centred[rows]
        # Threads of the linear algebra wait for each other where cores are busy: small products take none.
        small = left.size * right.shape[1] <= SMALL_PRODUCT
        products = np.einsum("ij,ik->jk", left, right) if small else left.T @ right
        return float(self.units.mass[rows].sum()), left.sum(axis=0), products

    def _correlations(self, total: float, sums: Array, products: Array) -> Array:
        if total <= 1e-12 * self.of_all[0]:
            return np.zeros(len(self.pairs[0]))
        mean = sums / total
        second = products / total - np.outer(mean, mean)
        spread = np.sqrt(np.maximum(np.diag(second), 0.0))
        i, j = self.pairs
        scale = spread[i] * spread[j]
        # A feature that is constant here is correlated with nothing.
        return np.asarray(np.divide(second[i, j], scale, out=np.zeros(len(i)), where=scale > 1e-12))

    def changes(self, chosen: NDArray[np.bool_]) -> Array:
        """Changes of all pairs."""
        before, after = (np.arctanh(np.clip(side, -CLIP, CLIP)) for side in self.correlations(chosen))
        return np.asarray(np.abs(after - before))

    def draw(self, which: Sequence[int], count: int) -> Array:
        """Largest changes of ``count`` relabellings."""
        return np.array(
            [
                [self.changes(random_subset(self.units.count, self.units.first, self.rng)).max()]
                for _ in range(count)
            ]
        )


@dataclass(eq=False)
class DependenceTest:
    """The pair that changed most, and the test that may go on."""

    report: DependenceReport
    test: RelabellingTest

    def finished(self) -> DependenceReport:
        """Return the report with the p-value so far."""
        return replace(self.report, pvalue=self.test.pvalue, draws=self.test.draws)


def dependence(
    sampled: Sequence[SampledPair],
    sample: RowSample,
    design: Design,
    *,
    n_resamples: int,
    report_progress: Progress = ignore_progress,
) -> DependenceTest | None:
    """Compare the correlations of all pairs of columns; None where there are not two columns to correlate."""
    pairs = [pair.sides for pair in sampled if not pair.report.identifier]
    if len(pairs) < 2:
        return None
    most = _most_rows(pairs, sample.sizes)
    left, right = (np.sort(rows[:most]) for rows in sample.correlated)
    features = Features.of(pairs, (sample.places(0, left), sample.places(1, right)))
    if not len(features.pairs[0]):
        return None
    units = design.pooled(sample.masks(left, right))
    engine = ChangeOfCorrelations(features, units, sample.rngs[1])
    actual = np.arange(units.count) < units.first
    changes = engine.changes(actual)
    at = int(np.argmax(changes))
    before, after = (float(side[at]) for side in engine.correlations(actual))
    test = RelabellingTest(engine, 0, float(changes[at]))
    advance([test], n_resamples, report_progress)
    names = features.names[features.pairs[0][at]], features.names[features.pairs[1][at]]
    report = DependenceReport(names, before, after, n_reference=len(left), n_current=len(right))
    return DependenceTest(report, test)


def _most_rows(pairs: Sequence[Pair], sizes: tuple[int, int]) -> int:
    """Rows of a side, so that one relabelling stays cheap."""
    count = sum(MOST_LABELS if old.unordered else 1 for old, _ in pairs)
    return max(200, min(DEPENDENCE_ROWS, int(MOST_WORK / (2 * count**2)), max(sizes)))


def _features(column: Column, pooled: Array) -> list[tuple[str, Array]]:
    from scipy.stats import rankdata

    gone = np.isnan(pooled)
    found = []
    if not gone.all():
        if column.unordered:
            codes, counts = np.unique(pooled[~gone], return_counts=True)
            frequent = codes[np.argsort(-counts, kind="stable")[:MOST_LABELS]]
            found = [(f"={column.labels[int(c)]}", (pooled == c).astype(float)) for c in frequent]
        else:
            ranks = np.full(len(pooled), (int((~gone).sum()) + 1) / 2)
            ranks[~gone] = rankdata(pooled[~gone])
            found = [("", ranks / len(pooled))]
    found.append((" missing", gone.astype(float)))
    return [(suffix, feature) for suffix, feature in found if _varies(feature)]


def _varies(feature: Array) -> bool:
    share = float((feature == feature[0]).mean())
    return share < 1 - RARE
