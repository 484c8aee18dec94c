"""Permutation test of the largest change of a rank correlation between two columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from otdist.runtime.progress import Progress, ignore_progress
from otdist.stats.draws import draw_subset
from otdist.stats.relabelling import RelabellingTest, Units, advance
from otdist.tables.column import Column
from otdist.tables.column_tests import Design
from otdist.tables.comparison import DependenceReport
from otdist.tables.sample import MAX_DEPENDENCE_ROWS, Pair, Rows, RowSample, SampledPair
from otdist.typing import Array, Index, Mask

MAX_SERIAL_PRODUCT = 2**24  # multiplications of a matrix product that is computed without threads
MAX_PRODUCT_TERMS = 2e8  # rows times pairs of features of one relabelling
MAX_FEATURE_LABELS = 6  # most frequent labels of a column that are features
MIN_FEATURE_SHARE = 0.02  # share below which a label or missing values are not a feature
MAX_ABS_CORRELATION = 0.999  # correlations are clipped: Fisher's transform is infinite at 1


@dataclass(eq=False)
class Features:
    """Numeric encoding of columns for correlations.

    Ranks of numbers, and indicators of frequent labels and of missing values; a missing number has the mean
    rank. ``columns`` holds the index of the column of each feature.
    """

    values: Array
    columns: Index
    names: tuple[str, ...]

    @classmethod
    def of(cls, pairs: Sequence[Pair], rows: tuple[Rows, Rows]) -> Features:
        """Encode the selected rows of both sides, the reference first."""
        values, columns, names = [], [], []
        for k, (old, new) in enumerate(pairs):
            pooled = np.concatenate([old.values[rows[0]], new.values[rows[1]]])
            for suffix, feature in _encode_column(old, pooled):
                values.append(feature)
                columns.append(k)
                names.append(f"{old.name}{suffix}")
        table = np.column_stack(values) if values else np.empty((len(rows[0]) + len(rows[1]), 0))
        return cls(table, np.array(columns, dtype=np.intp), tuple(names))

    @property
    def pairs(self) -> tuple[Index, Index]:
        """Pairs of features of different columns."""
        i, j = np.triu_indices(len(self.columns), 1)
        different = self.columns[i] != self.columns[j]
        return i[different], j[different]


@dataclass(eq=False)
class CorrelationChangeEngine:
    """Engine of the largest change of a correlation, after Fisher's transform, for relabellings by units."""

    features: Features
    units: Units
    rng: np.random.Generator

    def __post_init__(self) -> None:
        self.pairs = self.features.pairs
        centred = self.features.values - self.features.values.mean(axis=0)
        self.centred = centred
        self.weighted = centred * self.units.mass[:, None]
        self.total_moments = self._compute_moments(np.ones(len(centred), dtype=bool))

    def compute_correlations(self, selection: Mask) -> tuple[Array, Array]:
        """Compute correlations of all pairs within the rows of selected units, and within all other rows."""
        inside = selection[self.units.row_units]
        smaller = inside if 2 * np.count_nonzero(inside) <= len(inside) else ~inside
        sums = self._compute_moments(smaller)
        # Moments of the larger side are the total less those of the smaller side.
        others = (
            self.total_moments[0] - sums[0],
            self.total_moments[1] - sums[1],
            self.total_moments[2] - sums[2],
        )
        sides = (sums, others) if smaller is inside else (others, sums)
        return self._compute_correlations(*sides[0]), self._compute_correlations(*sides[1])

    def _compute_moments(self, rows: Mask) -> tuple[float, Array, Array]:
        """Compute the mass of rows, and the sums of their features and of products of features."""
        left, right = self.weighted[rows], self.centred[rows]
        # Threads of the linear algebra wait for each other where cores are busy: small products use none.
        small = left.size * right.shape[1] <= MAX_SERIAL_PRODUCT
        products = np.einsum("ij,ik->jk", left, right) if small else left.T @ right
        return float(self.units.mass[rows].sum()), left.sum(axis=0), products

    def _compute_correlations(self, total: float, sums: Array, products: Array) -> Array:
        if total <= 1e-12 * self.total_moments[0]:
            return np.zeros(len(self.pairs[0]))
        mean = sums / total
        second = products / total - np.outer(mean, mean)
        spread = np.sqrt(np.maximum(np.diag(second), 0.0))
        i, j = self.pairs
        scale = spread[i] * spread[j]
        # Correlations with a constant feature are 0.
        return np.asarray(np.divide(second[i, j], scale, out=np.zeros(len(i)), where=scale > 1e-12))

    def compute_changes(self, selection: Mask) -> Array:
        """Compute the absolute changes of the transformed correlations of all pairs."""
        before, after = (
            np.arctanh(np.clip(side, -MAX_ABS_CORRELATION, MAX_ABS_CORRELATION))
            for side in self.compute_correlations(selection)
        )
        return np.asarray(np.abs(after - before))

    def draw(self, indices: Sequence[int], count: int) -> Array:
        """Return the largest changes of ``count`` relabellings."""
        return np.array(
            [
                [
                    self.compute_changes(
                        draw_subset(self.units.n_units, self.units.n_reference, self.rng)
                    ).max()
                ]
                for _ in range(count)
            ]
        )


@dataclass(eq=False)
class DependenceTest:
    """Report on the pair with the largest change, and its test, which can be continued."""

    report: DependenceReport
    test: RelabellingTest

    def make_report(self) -> DependenceReport:
        """Return the report with the p-value so far."""
        return replace(self.report, pvalue=self.test.pvalue, draws=self.test.draws)


def compare_correlations(
    columns: Sequence[SampledPair],
    sample: RowSample,
    design: Design,
    *,
    n_resamples: int,
    report_progress: Progress = ignore_progress,
) -> DependenceTest | None:
    """Test the correlations of all pairs of columns; None for fewer than two columns or without features."""
    pairs = [pair.sides for pair in columns if not pair.report.identifier]
    if len(pairs) < 2:
        return None
    count = _choose_row_count(pairs, sample.sizes)
    left, right = (np.sort(rows[:count]) for rows in sample.correlation_rows)
    features = Features.of(pairs, (sample.locate(0, left), sample.locate(1, right)))
    if not len(features.pairs[0]):
        return None
    units = design.pool_units(sample.to_masks(left, right))
    engine = CorrelationChangeEngine(features, units, sample.rngs[1])
    actual = np.arange(units.n_units) < units.n_reference
    changes = engine.compute_changes(actual)
    largest = int(np.argmax(changes))
    before, after = (float(side[largest]) for side in engine.compute_correlations(actual))
    test = RelabellingTest(engine, 0, float(changes[largest]))
    advance([test], n_resamples, report_progress)
    names = features.names[features.pairs[0][largest]], features.names[features.pairs[1][largest]]
    report = DependenceReport(names, before, after, n_reference=len(left), n_current=len(right))
    return DependenceTest(report, test)


def _choose_row_count(pairs: Sequence[Pair], sizes: tuple[int, int]) -> int:
    """Choose the number of rows a side that bounds the cost of one relabelling."""
    count = sum(MAX_FEATURE_LABELS if old.unordered else 1 for old, _ in pairs)
    return max(200, min(MAX_DEPENDENCE_ROWS, int(MAX_PRODUCT_TERMS / (2 * count**2)), max(sizes)))


def _encode_column(column: Column, pooled: Array) -> list[tuple[str, Array]]:
    from scipy.stats import rankdata

    missing = np.isnan(pooled)
    features = []
    if not missing.all():
        if column.unordered:
            codes, counts = np.unique(pooled[~missing], return_counts=True)
            frequent = codes[np.argsort(-counts, kind="stable")[:MAX_FEATURE_LABELS]]
            features = [(f"={column.labels[int(c)]}", (pooled == c).astype(float)) for c in frequent]
        else:
            ranks = np.full(len(pooled), (int((~missing).sum()) + 1) / 2)
            ranks[~missing] = rankdata(pooled[~missing])
            features = [("", ranks / len(pooled))]
    features.append((" missing", missing.astype(float)))
    return [(suffix, feature) for suffix, feature in features if _is_varying(feature)]


def _is_varying(feature: Array) -> bool:
    share = float((feature == feature[0]).mean())
    return share < 1 - MIN_FEATURE_SHARE
