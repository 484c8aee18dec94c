"""Permutation tests and noise floors of all columns of two tables."""

from __future__ import annotations

import hashlib
import math
import zlib
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from otdist.stats.draws import draw_subset, shrink_sizes
from otdist.stats.null import compute_line_rate
from otdist.stats.ordered import merge
from otdist.stats.relabelling import (
    MAX_UNGROUPED_ROWS,
    CountedCircle,
    CountedLabels,
    CountedLine,
    RelabellingTest,
    SharedLine,
    Units,
    UnitsLabels,
    UnitsLine,
    compute_label_distance,
    compute_share_pvalue,
    group_values,
)
from otdist.tables.measurement import Measurement
from otdist.typing import Array, Index, Integers, Mask

COLUMN_FLOOR_DRAWS = 199
FLOOR_LEVEL = 0.95  # level of the quantile that is called the noise floor
MAX_CACHED_FLOORS = 1000


@dataclass(frozen=True, eq=False)
class Design:
    """Sampling design of the rows of both tables.

    Attributes
    ----------
    units : tuple of ndarray of int or None
        Unit of each row of the reference and of the current table: rows of one unit are relabelled
        together. None: each row by itself.
    weights : tuple of ndarray or None
        Weights of the rows.
    """

    units: tuple[Index, Index] | None = None
    weights: tuple[Array, Array] | None = None

    @property
    def simple(self) -> bool:
        """Whether rows are independent and have equal weights."""
        return self.units is None and self.weights is None

    def pool_units(self, rows: tuple[Mask, Mask]) -> Units:
        """Return the units of the selected rows of both sides, the reference first.

        Units without selected rows are left out: they would change the sizes of the relabelled sides.
        """
        row_units, masses = [], []
        counts: list[int] = []
        for side, mask in enumerate(rows):
            side_units = np.arange(len(mask)) if self.units is None else self.units[side]
            units, codes = np.unique(side_units[mask], return_inverse=True)
            row_units.append(codes.ravel() + sum(counts))
            counts.append(len(units))
            if self.weights is None:
                masses.append(np.ones(len(codes)))
                continue
            weights = self.weights[side]
            # The mass of a side is its number of rows, whatever the sum of its weights.
            masses.append(weights[mask] * (len(weights) / weights.sum()))
        return Units(np.concatenate(row_units), np.concatenate(masses), counts[0], sum(counts))


@dataclass(eq=False)
class ColumnTests:
    """Tests of one column: of its values and of its share of missing values.

    Each is an exact p-value, a test by random relabellings, or None where there is nothing to test.
    """

    name: str
    values: RelabellingTest | float | None = None
    missing: RelabellingTest | float | None = None
    floor: float = math.nan


@dataclass(eq=False)
class ColumnTestBuilder:
    """Builder of the tests of all columns; columns of equal sizes share relabellings."""

    design: Design
    seed: int
    tests: list[ColumnTests] = field(default_factory=list)
    shared: dict[tuple[int, int], list[tuple[ColumnTests, Measurement]]] = field(
        default_factory=lambda: defaultdict(list)
    )

    def add(self, name: str, measurement: Measurement, rows: tuple[Mask, Mask]) -> None:
        """Prepare the tests of a column; ``rows`` are the masks of present values of both sides."""
        tests = ColumnTests(name, missing=self._test_missing(name, rows))
        self.tests.append(tests)
        if not measurement.testable:
            return
        rng = self._make_rng(name)
        if not self.design.simple:
            tests.values, tests.floor = self._test_by_units(measurement, rows, rng)
        elif measurement.size:
            tests.values, tests.floor = _test_labels(measurement, rng)
        elif measurement.period or len(measurement.x) + len(measurement.y) > MAX_UNGROUPED_ROWS:
            tests.values, tests.floor = _test_by_counts(measurement, rng)
        else:
            self.shared[len(measurement.x), len(measurement.y)].append((tests, measurement))

    def finish(self) -> list[ColumnTests]:
        """Build the tests that share relabellings, and return the tests of all columns in order."""
        for (n, m), members in self.shared.items():
            self._build_shared(n, m, members)
        return self.tests

    def _make_rng(self, name: str, *more: int) -> np.random.Generator:
        # Seeded by name: results of a column do not depend on which other columns are compared.
        return np.random.default_rng([self.seed, zlib.crc32(name.encode(errors="surrogatepass")), *more])

    def _test_missing(self, name: str, rows: tuple[Mask, Mask]) -> RelabellingTest | float | None:
        missing = [~mask for mask in rows]
        if not (missing[0].any() or missing[1].any()):
            return None
        if self.design.simple:
            return compute_share_pvalue(
                int(missing[0].sum()), len(missing[0]), int(missing[1].sum()), len(missing[1])
            )
        units = self.design.pool_units((np.ones(len(missing[0]), bool), np.ones(len(missing[1]), bool)))
        engine = UnitsLabels(np.concatenate(missing).astype(np.intp), 2, units, self._make_rng(name, 1))
        return _make_unit_test(engine, units)

    def _test_by_units(
        self,
        measurement: Measurement,
        rows: tuple[Mask, Mask],
        rng: np.random.Generator,
    ) -> tuple[RelabellingTest, float]:
        pooled = self.design.pool_units(rows)
        values = np.concatenate(
            [_rank_codes(measurement.x, measurement), _rank_codes(measurement.y, measurement)]
        )
        engine = _make_unit_engine(values, pooled, measurement, rng, absences=True)
        reference_units = self.design.pool_units((rows[0], np.zeros(len(rows[1]), bool)))
        sizes = pooled.n_reference, pooled.n_units - pooled.n_reference
        floor = _compute_unit_floor(measurement, reference_units, sizes, rng)
        return _make_unit_test(engine, pooled), floor

    def _build_shared(self, n: int, m: int, members: list[tuple[ColumnTests, Measurement]]) -> None:
        pools = [np.sort(np.concatenate([measurement.x, measurement.y])) for _, measurement in members]
        engine = SharedLine(
            np.column_stack([np.diff(pool) for pool in pools]),
            n,
            m,
            np.random.default_rng([self.seed, n, m]),
        )
        for index, (tests, measurement) in enumerate(members):
            exact = _compute_exact_pvalue(measurement, pools[index])
            tests.values = RelabellingTest(engine, index, measurement.w1) if exact is None else exact
        if n < 2:
            return
        k, l = shrink_sizes(n, m, n)  # noqa: E741
        widths = np.column_stack([np.diff(np.sort(measurement.x)) for _, measurement in members])
        draws = SharedLine(widths, k, l, np.random.default_rng([self.seed, n, m, 1])).draw(
            range(len(members)), COLUMN_FLOOR_DRAWS
        )
        levels = np.quantile(draws, FLOOR_LEVEL, axis=0) * compute_line_rate(n, m, k, l)
        for (tests, _), level in zip(members, levels, strict=True):
            tests.floor = float(level)


def _compute_exact_pvalue(measurement: Measurement, pool: Array) -> float | None:
    """Compute the exact p-value of a column of at most two distinct values; None for others."""
    low, high = pool[0], pool[-1]
    if low == high:
        return 1.0
    if pool[np.searchsorted(pool, low, side="right")] == high:
        ends = [(int((side == high).sum()), len(side)) for side in (measurement.x, measurement.y)]
        return compute_share_pvalue(*ends[0], *ends[1])
    return None


def _test_by_counts(
    measurement: Measurement, rng: np.random.Generator
) -> tuple[RelabellingTest | float | None, float]:
    """Return the test and the floor of many numbers, or of numbers on a circle, by counts."""
    if measurement.period:
        measurement = replace(measurement, x=np.sort(measurement.x), y=np.sort(measurement.y))
    pool = merge(measurement.x, measurement.y)
    exact = _compute_exact_pvalue(measurement, pool)
    test: RelabellingTest | float | None = exact
    if exact is None:
        points, counts = group_values(pool)
        engine = _make_counted_engine(
            points, counts, len(measurement.x), len(measurement.y), measurement.period, rng
        )
        # The observed statistic is the distance between groups.
        last = pool[np.cumsum(counts) - 1]
        left = np.diff(np.searchsorted(measurement.x, last, side="right"), prepend=0)
        test = RelabellingTest(engine, 0, engine.measure(left[None], (counts - left)[None])[0])
    del pool
    return test, _compute_counted_floor(measurement)


def _make_counted_engine(
    points: Array,
    counts: Integers,
    k: int,
    l: int,  # noqa: E741
    period: float,
    rng: np.random.Generator,
) -> CountedLine | CountedCircle:
    widths = np.diff(points)
    if period:
        return CountedCircle(counts, np.append(widths, period - (points[-1] - points[0])), k, l, rng)
    return CountedLine(counts, widths, k, l, rng)


# Floors of long references, which are often compared with many windows.
_floor_cache: dict[tuple[bytes, int, float, int], float] = {}


def _compute_counted_floor(measurement: Measurement) -> float:
    """Compute the floor of a sorted reference; cached for equal values and sizes."""
    n, m = len(measurement.x), len(measurement.y)
    if n < 2:
        return math.nan
    digest = hashlib.blake2b(measurement.x.data, digest_size=16).digest()
    key = digest, m, measurement.period, measurement.exponent
    floor = _floor_cache.get(key)
    if floor is None:
        k, l = shrink_sizes(n, m, n)  # noqa: E741
        rng = np.random.default_rng([n, m])  # independent of the values: a shift does not change the floor
        engine = _make_counted_engine(*group_values(measurement.x), k, l, measurement.period, rng)
        draws = engine.draw([0], COLUMN_FLOOR_DRAWS)
        floor = float(np.quantile(draws, FLOOR_LEVEL)) * compute_line_rate(n, m, k, l)
        if len(_floor_cache) >= MAX_CACHED_FLOORS:
            _floor_cache.clear()
        _floor_cache[key] = floor
    return floor


def _test_labels(
    measurement: Measurement, rng: np.random.Generator
) -> tuple[RelabellingTest | float | None, float]:
    assert measurement.counts is not None
    before, after = (side.astype(np.int64) for side in measurement.counts)
    n, m = len(measurement.x), len(measurement.y)
    test: RelabellingTest | float
    if measurement.size <= 2:
        test = compute_share_pvalue(int(before[0]), n, int(after[0]), m)
    else:
        engine = CountedLabels(before + after, n, m, rng, absences=True)
        test = RelabellingTest(engine, 0, float(compute_label_distance(before / n, after / m)))
    if n < 2:
        return test, math.nan

    def draw_distances(k: int, l: int) -> Array:  # noqa: E741
        return CountedLabels(before, k, l, rng).draw([0], COLUMN_FLOOR_DRAWS)

    return test, compute_label_floor(draw_distances, n, m, n)


def compute_label_floor(draw_distances: Callable[[int, int], Array], n: int, m: int, available: int) -> float:
    """Compute a quantile of the total variation between samples of n and m rows of the reference.

    Subsets of the reference are smaller than the samples. Noise decreases as the square root of the size
    where all labels are frequent, and not at all where each occurs once. The rate is estimated from subsets
    and subsets of half their size; for larger samples noise decreases at least as fast, so the floor is
    conservative.
    """
    k, l = shrink_sizes(n, m, available)  # noqa: E741
    draws = _drop_nan(draw_distances(k, l))
    if not len(draws):
        return math.nan
    level = float(np.quantile(draws, FLOOR_LEVEL))
    rate = compute_line_rate(n, m, k, l)
    if rate == 1 or not draws.mean() > 0 or min(k, l) < 2:
        return level
    half = _drop_nan(draw_distances(k // 2, l // 2))
    exponent = math.log(float(half.mean() / draws.mean())) / math.log(compute_line_rate(k // 2, l // 2, k, l))
    return float(level * rate ** min(max(exponent, 0.0), 1.0))


def _drop_nan(draws: Array) -> Array:
    return draws[~np.isnan(draws)]


def _rank_codes(values: Array, measurement: Measurement) -> Array:
    """Replace codes of labels by their ranks, the most frequent first; leave numbers unchanged."""
    return values if measurement.ranks is None else measurement.ranks[values.astype(np.intp)]


def _make_unit_engine(
    values: Array, units: Units, measurement: Measurement, rng: np.random.Generator, *, absences: bool = False
) -> UnitsLine | UnitsLabels:
    if measurement.size:
        return UnitsLabels(
            values.astype(np.intp), measurement.size, units, rng, absences and measurement.size > 2
        )
    order = np.argsort(values, kind="stable")
    widths = np.diff(values[order])
    if measurement.period:
        widths = np.append(widths, measurement.period - (values[order[-1]] - values[order[0]]))
    return UnitsLine(widths, units.take(order), rng, circular=bool(measurement.period))


def _make_unit_test(engine: UnitsLine | UnitsLabels, units: Units) -> RelabellingTest:
    actual = np.arange(units.n_units) < units.n_reference
    return RelabellingTest(engine, 0, engine.measure(actual))


def _compute_unit_floor(
    measurement: Measurement, units: Units, sizes: tuple[int, int], rng: np.random.Generator
) -> float:
    """Compute the floor from random subsets of the units of the reference."""
    count = units.n_reference
    n, m = sizes
    if count < 2:
        return math.nan
    x = _rank_codes(measurement.x, measurement)

    def draw_distances(k: int, l: int) -> Array:  # noqa: E741
        out = np.empty(COLUMN_FLOOR_DRAWS)
        for draw in range(COLUMN_FLOOR_DRAWS):
            selection = draw_subset(count, k + l, rng)
            codes = np.cumsum(selection) - 1
            rows = selection[units.row_units]
            subset = Units(codes[units.row_units[rows]], units.mass[rows], k, k + l)
            engine = _make_unit_engine(x[rows], subset, measurement, rng)
            out[draw] = engine.measure(draw_subset(k + l, k, rng))
        return out

    if measurement.size:
        return compute_label_floor(draw_distances, n, m, count)
    k, l = shrink_sizes(n, m, count)  # noqa: E741
    draws = _drop_nan(draw_distances(k, l))
    return float(np.quantile(draws, FLOOR_LEVEL)) * compute_line_rate(n, m, k, l) if len(draws) else math.nan


def collect_relabelling_tests(tests: Sequence[ColumnTests]) -> list[RelabellingTest]:
    """Return the tests by random relabellings of all columns."""
    candidates = [test for column in tests for test in (column.values, column.missing)]
    return [test for test in candidates if isinstance(test, RelabellingTest)]
