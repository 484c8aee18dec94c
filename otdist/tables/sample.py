"""Rows of two tables that the tests of whole rows look at, drawn before any column is read."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from otdist.stats.relabel import LONG
from otdist.tables.column import Column
from otdist.tables.comparison import ColumnReport

Rows = NDArray[np.intp]
Pair = tuple[Column, Column]

DEPENDENCE_ROWS = 2000  # of a side, at most


@dataclass(frozen=True, eq=False)
class RowSample:
    """Numbers of rows, which depend on nothing but the sizes of the tables and the seed.

    Attributes
    ----------
    sizes : tuple of int
        Rows of the reference and of the current table.
    compared : tuple of ndarray
        Rows of both tables between which the joint distance is computed, in order.
    tested : tuple of ndarray
        Those of them that its test relabels.
    floor : ndarray
        Rows of the reference from which its noise floor is computed, in order, or more than are needed.
    correlated : tuple of ndarray
        Rows of both tables for the test of correlations, in random order.
    kept : tuple of ndarray
        All of these, in order: the only rows of a column that stay in memory.
    rngs : tuple of Generator
        Where the joint test and the test of correlations go on.
    """

    sizes: tuple[int, int]
    compared: tuple[Rows, Rows]
    tested: tuple[Rows, Rows]
    floor: Rows
    correlated: tuple[Rows, Rows]
    kept: tuple[Rows, Rows]
    rngs: tuple[np.random.Generator, np.random.Generator]

    @classmethod
    def draw(cls, sizes: tuple[int, int], seed: int, max_rows: int, test_rows: int) -> RowSample:
        """Choose rows at random."""
        joint_rng, dependence_rng = np.random.default_rng(seed), np.random.default_rng([seed, 2])
        compared = some_rows(sizes[0], max_rows, joint_rng), some_rows(sizes[1], max_rows, joint_rng)
        places = [some_rows(len(rows), test_rows, joint_rng) for rows in compared]
        tested = compared[0][places[0]], compared[1][places[1]]
        floor = np.arange(sizes[0])
        if sizes[0] > LONG:
            floor = some_rows(sizes[0], len(tested[0]) + len(tested[1]), np.random.default_rng([seed, 3]))
        correlated = _shuffle(sizes[0], dependence_rng), _shuffle(sizes[1], dependence_rng)
        kept = (
            _union(sizes[0], compared[0], correlated[0], floor),
            _union(sizes[1], compared[1], correlated[1]),
        )
        return cls(sizes, compared, tested, floor, correlated, kept, (joint_rng, dependence_rng))

    def places(self, side: int, rows: Rows) -> Rows:
        """Where rows of a side stand among those that are kept."""
        return np.searchsorted(self.kept[side], rows)

    def masks(self, first: Rows, second: Rows) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Rows of both tables as masks."""
        masks = np.zeros(self.sizes[0], bool), np.zeros(self.sizes[1], bool)
        masks[0][first], masks[1][second] = True, True
        return masks


@dataclass(frozen=True, eq=False)
class SampledPair:
    """A column of both tables at the rows that are kept.

    Attributes
    ----------
    sides : tuple of Column
        The values of those rows.
    report : ColumnReport
        What was measured of all rows.
    filler : float
        Median of the reference, which stands for missing numbers.
    has_gaps : bool
        Whether any row of either table lacks a value.
    """

    sides: Pair
    report: ColumnReport
    filler: float
    has_gaps: bool

    @classmethod
    def of(cls, pair: Pair, report: ColumnReport, sample: RowSample) -> SampledPair:
        """Keep the sampled rows of a column."""
        old, new = pair
        has_gaps = any(bool(side.missing.any()) for side in pair)
        filler = 0.0
        if has_gaps and report.n_reference and not old.unordered:
            filler = float(np.median(old.present))
        return cls((old.take(sample.kept[0]), new.take(sample.kept[1])), report, filler, has_gaps)


def some_rows(count: int, most: int, rng: np.random.Generator) -> Rows:
    """Rows in order: all, or as many of them at random."""
    if count <= most:
        return np.arange(count)
    return np.sort(rng.choice(count, most, replace=False))


def _shuffle(count: int, rng: np.random.Generator) -> Rows:
    if count > LONG:
        return rng.choice(count, DEPENDENCE_ROWS, replace=False)
    return rng.permutation(count)[:DEPENDENCE_ROWS]


def _union(count: int, *parts: Rows) -> Rows:
    return np.arange(count) if count <= LONG else np.unique(np.concatenate(parts))
