"""Random rows of two tables for the joint test and the test of correlations."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from otdist.stats.relabelling import MAX_UNGROUPED_ROWS
from otdist.tables.column import Column
from otdist.tables.comparison import ColumnReport
from otdist.typing import Index, Mask

Rows = Index
Pair = tuple[Column, Column]

MAX_DEPENDENCE_ROWS = 2000  # rows a side for the test of correlations


@dataclass(frozen=True, eq=False)
class RowSample:
    """Indices of sampled rows, which depend only on the sizes of the tables and the seed.

    Attributes
    ----------
    sizes : tuple of int
        Rows of the reference and of the current table.
    distance_rows : tuple of ndarray
        Rows of both tables between which the joint distance is computed, in order.
    test_rows : tuple of ndarray
        Subsets of ``distance_rows`` for the joint test.
    floor_rows : ndarray
        Rows of the reference for the noise floor of the joint distance, in order; may be more than it uses.
    correlation_rows : tuple of ndarray
        Rows of both tables for the test of correlations, in random order.
    stored_rows : tuple of ndarray
        Union of all these rows, in order: the only rows of a column that stay in memory.
    rngs : tuple of Generator
        Generators of the joint test and of the test of correlations.
    """

    sizes: tuple[int, int]
    distance_rows: tuple[Rows, Rows]
    test_rows: tuple[Rows, Rows]
    floor_rows: Rows
    correlation_rows: tuple[Rows, Rows]
    stored_rows: tuple[Rows, Rows]
    rngs: tuple[np.random.Generator, np.random.Generator]

    @classmethod
    def draw(cls, sizes: tuple[int, int], seed: int, max_rows: int, test_rows: int) -> RowSample:
        """Choose rows at random."""
        joint_rng, dependence_rng = np.random.default_rng(seed), np.random.default_rng([seed, 2])
        compared = sample_rows(sizes[0], max_rows, joint_rng), sample_rows(sizes[1], max_rows, joint_rng)
        subsets = [sample_rows(len(rows), test_rows, joint_rng) for rows in compared]
        tested = compared[0][subsets[0]], compared[1][subsets[1]]
        floor = np.arange(sizes[0])
        if sizes[0] > MAX_UNGROUPED_ROWS:
            floor = sample_rows(sizes[0], len(tested[0]) + len(tested[1]), np.random.default_rng([seed, 3]))
        correlated = _shuffle(sizes[0], dependence_rng), _shuffle(sizes[1], dependence_rng)
        stored = (
            _merge_rows(sizes[0], compared[0], correlated[0], floor),
            _merge_rows(sizes[1], compared[1], correlated[1]),
        )
        return cls(sizes, compared, tested, floor, correlated, stored, (joint_rng, dependence_rng))

    def locate(self, side: int, rows: Rows) -> Rows:
        """Return the positions of rows of a side in ``stored_rows``."""
        return np.searchsorted(self.stored_rows[side], rows)

    def to_masks(self, first: Rows, second: Rows) -> tuple[Mask, Mask]:
        """Return masks of rows of both tables."""
        masks = np.zeros(self.sizes[0], bool), np.zeros(self.sizes[1], bool)
        masks[0][first], masks[1][second] = True, True
        return masks


@dataclass(frozen=True, eq=False)
class SampledPair:
    """A column of both tables at the stored rows.

    Attributes
    ----------
    sides : tuple of Column
        Values of the stored rows.
    report : ColumnReport
        Report on all rows.
    filler : float
        Median of the reference, which replaces missing numbers.
    has_gaps : bool
        Whether a value is missing in either table.
    """

    sides: Pair
    report: ColumnReport
    filler: float
    has_gaps: bool

    @classmethod
    def of(cls, pair: Pair, report: ColumnReport, sample: RowSample) -> SampledPair:
        """Select the stored rows of a column."""
        old, new = pair
        has_gaps = any(bool(side.missing.any()) for side in pair)
        filler = 0.0
        if has_gaps and report.n_reference and not old.unordered:
            filler = float(np.median(old.present))
        return cls(
            (old.take(sample.stored_rows[0]), new.take(sample.stored_rows[1])), report, filler, has_gaps
        )


def sample_rows(count: int, max_count: int, rng: np.random.Generator) -> Rows:
    """Return row indices in order: all, or a random subset of ``max_count``."""
    if count <= max_count:
        return np.arange(count)
    return np.sort(rng.choice(count, max_count, replace=False))


def _shuffle(count: int, rng: np.random.Generator) -> Rows:
    if count > MAX_UNGROUPED_ROWS:
        return rng.choice(count, MAX_DEPENDENCE_ROWS, replace=False)
    return rng.permutation(count)[:MAX_DEPENDENCE_ROWS]


def _merge_rows(count: int, *parts: Rows) -> Rows:
    return np.arange(count) if count <= MAX_UNGROUPED_ROWS else np.unique(np.concatenate(parts))
