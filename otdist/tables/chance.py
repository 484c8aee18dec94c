"""Permutation tests and noise floors of all columns of two tables."""

from __future__ import annotations

import hashlib
import math
import zlib
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from otdist.stats.draws import random_subset, shrunk
from otdist.stats.null import line_rate
from otdist.stats.ordered import merge
from otdist.stats.relabel import (
    LONG,
    CountedCircle,
    CountedLabels,
    CountedLine,
    RelabellingTest,
    SharedLine,
    Units,
    UnitsLabels,
    UnitsLine,
    grouped,
    label_distance,
    share_pvalue,
)
from otdist.tables.measure import Measured

Array = NDArray[np.float64]

FLOOR_DRAWS = 199
FLOOR_LEVEL = 0.95
MOST_FLOORS = 1000


@dataclass(frozen=True, eq=False)
class Design:
    """How the rows of both tables were sampled.

    Attributes
    ----------
    units : tuple of ndarray of int or None
        Unit of each row of the reference and of the current table: rows of one unit are relabelled
        together. None: each row by itself.
    weights : tuple of ndarray or None
        Weights of the rows.
    """

    units: tuple[NDArray[np.intp], NDArray[np.intp]] | None = None
    weights: tuple[Array, Array] | None = None

    @property
    def simple(self) -> bool:
        """Whether all rows are relabelled alike, each by itself."""
        return self.units is None and self.weights is None

    def pooled(self, rows: tuple[NDArray[np.bool_], NDArray[np.bool_]]) -> Units:
        """Units of some rows of both sides, the reference first.

        Units without such rows are left out: they would change the sizes of the relabelled sides.
        """
        parts, masses = [], []
        counts: list[int] = []
        for side, chosen in enumerate(rows):
            own = np.arange(len(chosen)) if self.units is None else self.units[side]
            units, place = np.unique(own[chosen], return_inverse=True)
            parts.append(place.ravel() + sum(counts))
            counts.append(len(units))
            if self.weights is None:
                masses.append(np.ones(len(place)))
                continue
            weights = self.weights[side]
            # Each side counts by its rows, whatever its weights add up to.
            masses.append(weights[chosen] * (len(weights) / weights.sum()))
        return Units(np.concatenate(parts), np.concatenate(masses), counts[0], sum(counts))


@dataclass(eq=False)
class ColumnTests:
    """The tests of one column: of its values and of its share of missing values.

    Each is a p-value that needs no draws, a test that does, or None where there is nothing to test.
    """

    name: str
    values: RelabellingTest | float | None = None
    missing: RelabellingTest | float | None = None
    floor: float = math.nan


@dataclass(eq=False)
class Chance:
    """Builds the tests of columns; columns of the same sizes share their relabellings."""

    design: Design
    seed: int
    tests: list[ColumnTests] = field(default_factory=list)
    shared: dict[tuple[int, int], list[tuple[ColumnTests, Measured]]] = field(
        default_factory=lambda: defaultdict(list)
    )

    def add(self, name: str, found: Measured, rows: tuple[NDArray[np.bool_], NDArray[np.bool_]]) -> None:
        """Prepare the tests of a column.

        rows : rows of both sides whose values are present.
        """
        tests = ColumnTests(name, missing=self._missing(name, rows))
        self.tests.append(tests)
        if not found.testable:
            return
        rng = self._rng(name)
        if not self.design.simple:
            tests.values, tests.floor = self._by_units(found, rows, rng)
        elif found.size:
            tests.values, tests.floor = _label_test(found, rng)
        elif found.period or len(found.x) + len(found.y) > LONG:
            tests.values, tests.floor = _counted_test(found, rng)
        else:
            self.shared[len(found.x), len(found.y)].append((tests, found))

    def finish(self) -> list[ColumnTests]:
        """Build the tests that share relabellings, and return those of all columns in order."""
        for (n, m), members in self.shared.items():
            self._build_shared(n, m, members)
        return self.tests

    def _rng(self, name: str, *more: int) -> np.random.Generator:
        # Seeded by name: figures of a column do not depend on which others are compared.
        return np.random.default_rng([self.seed, zlib.crc32(name.encode(errors="surrogatepass")), *more])

    def _missing(
        self, name: str, rows: tuple[NDArray[np.bool_], NDArray[np.bool_]]
    ) -> RelabellingTest | float | None:
        gone = [~some for some in rows]
        if not (gone[0].any() or gone[1].any()):
            return None
        if self.design.simple:
            return share_pvalue(int(gone[0].sum()), len(gone[0]), int(gone[1].sum()), len(gone[1]))
        units = self.design.pooled((np.ones(len(gone[0]), bool), np.ones(len(gone[1]), bool)))
        engine = UnitsLabels(np.concatenate(gone).astype(np.intp), 2, units, self._rng(name, 1))
        return _unit_test(engine, units)

    def _by_units(
        self, found: Measured, rows: tuple[NDArray[np.bool_], NDArray[np.bool_]], rng: np.random.Generator
    ) -> tuple[RelabellingTest, float]:
        pooled = self.design.pooled(rows)
        values = np.concatenate(
            [_replace_codes_by_rank(found.x, found), _replace_codes_by_rank(found.y, found)]
        )
        engine = _unit_engine(values, pooled, found, rng, absences=True)
        alone = self.design.pooled((rows[0], np.zeros(len(rows[1]), bool)))
        sizes = pooled.first, pooled.count - pooled.first
        return _unit_test(engine, pooled), _unit_floor(found, alone, sizes, rng)

    def _build_shared(self, n: int, m: int, members: list[tuple[ColumnTests, Measured]]) -> None:
        pools = [np.sort(np.concatenate([found.x, found.y])) for _, found in members]
        engine = SharedLine(
            np.column_stack([np.diff(pool) for pool in pools]),
            n,
            m,
            np.random.default_rng([self.seed, n, m]),
        )
        for index, (tests, found) in enumerate(members):
            exact = _exact_pvalue(found, pools[index])
            tests.values = RelabellingTest(engine, index, found.w1) if exact is None else exact
        if n < 2:
            return
        k, l = shrunk(n, m, n)  # noqa: E741
        alone = np.column_stack([np.diff(np.sort(found.x)) for _, found in members])
        draws = SharedLine(alone, k, l, np.random.default_rng([self.seed, n, m, 1])).draw(
            range(len(members)), FLOOR_DRAWS
        )
        levels = np.quantile(draws, FLOOR_LEVEL, axis=0) * line_rate(n, m, k, l)
        for (tests, _), level in zip(members, levels, strict=True):
            tests.floor = float(level)


def _exact_pvalue(found: Measured, pool: Array) -> float | None:
    """P-value of a column of at most two values, without draws."""
    low, high = pool[0], pool[-1]
    if low == high:
        return 1.0
    if pool[np.searchsorted(pool, low, side="right")] == high:
        ends = [(int((side == high).sum()), len(side)) for side in (found.x, found.y)]
        return share_pvalue(*ends[0], *ends[1])
    return None


def _counted_test(found: Measured, rng: np.random.Generator) -> tuple[RelabellingTest | float | None, float]:
    """Test and floor of many numbers, or of numbers on a circle, by counts."""
    if found.period:
        found = replace(found, x=np.sort(found.x), y=np.sort(found.y))
    pool = merge(found.x, found.y)
    exact = _exact_pvalue(found, pool)
    test: RelabellingTest | float | None = exact
    if exact is None:
        places, counts = grouped(pool)
        engine = _counted_engine(places, counts, len(found.x), len(found.y), found.period, rng)
        # The statistic of the groups, for the labels of the data.
        last = pool[np.cumsum(counts) - 1]
        left = np.diff(np.searchsorted(found.x, last, side="right"), prepend=0)
        test = RelabellingTest(engine, 0, engine.measure(left[None], (counts - left)[None])[0])
    del pool
    return test, _counted_floor(found)


def _counted_engine(
    places: Array,
    counts: NDArray[np.int64],
    k: int,
    l: int,  # noqa: E741
    period: float,
    rng: np.random.Generator,
) -> CountedLine | CountedCircle:
    widths = np.diff(places)
    if period:
        return CountedCircle(counts, np.append(widths, period - (places[-1] - places[0])), k, l, rng)
    return CountedLine(counts, widths, k, l, rng)


_floors: dict[tuple[bytes, int, float, int], float] = {}  # of long references, which meet window after window


def _counted_floor(found: Measured) -> float:
    """Floor of a sorted reference: computed once for the same values and sizes, as many windows have them."""
    n, m = len(found.x), len(found.y)
    if n < 2:
        return math.nan
    digest = hashlib.blake2b(found.x.data, digest_size=16).digest()
    key = digest, m, found.period, found.exponent
    floor = _floors.get(key)
    if floor is None:
        k, l = shrunk(n, m, n)  # noqa: E741
        rng = np.random.default_rng([n, m])  # not of the values: a shift changes no floor
        engine = _counted_engine(*grouped(found.x), k, l, found.period, rng)
        draws = engine.draw([0], FLOOR_DRAWS)
        floor = float(np.quantile(draws, FLOOR_LEVEL)) * line_rate(n, m, k, l)
        if len(_floors) >= MOST_FLOORS:
            _floors.clear()
        _floors[key] = floor
    return floor


def _label_test(found: Measured, rng: np.random.Generator) -> tuple[RelabellingTest | float | None, float]:
    assert found.counts is not None
    before, after = (side.astype(np.int64) for side in found.counts)
    n, m = len(found.x), len(found.y)
    test: RelabellingTest | float
    if found.size <= 2:
        test = share_pvalue(int(before[0]), n, int(after[0]), m)
    else:
        engine = CountedLabels(before + after, n, m, rng, absences=True)
        test = RelabellingTest(engine, 0, float(label_distance(before / n, after / m)))
    if n < 2:
        return test, math.nan

    def parts(k: int, l: int) -> Array:  # noqa: E741
        return CountedLabels(before, k, l, rng).draw([0], FLOOR_DRAWS)

    return test, label_floor(parts, n, m, n)


def label_floor(parts: Callable[[int, int], Array], n: int, m: int, available: int) -> float:
    """Quantile of the total variation between samples of n and m rows of the reference's distribution.

    Parts of the reference are smaller than that. Noise falls like the square root of the size where all
    labels are frequent, and not at all where each occurs once. How fast it falls is measured, between parts
    and parts of half their size; beyond, it falls at least as fast, so the floor is rather too high.
    """
    k, l = shrunk(n, m, available)  # noqa: E741
    draws = _known(parts(k, l))
    if not len(draws):
        return math.nan
    level = float(np.quantile(draws, FLOOR_LEVEL))
    rate = line_rate(n, m, k, l)
    if rate == 1 or not draws.mean() > 0 or min(k, l) < 2:
        return level
    half = _known(parts(k // 2, l // 2))
    fall = math.log(float(half.mean() / draws.mean())) / math.log(line_rate(k // 2, l // 2, k, l))
    return float(level * rate ** min(max(fall, 0.0), 1.0))


def _known(draws: Array) -> Array:
    return draws[~np.isnan(draws)]


def _replace_codes_by_rank(values: Array, found: Measured) -> Array:
    """Numbers as they are, and labels by their place, the most frequent first."""
    return values if found.ranks is None else found.ranks[values.astype(np.intp)]


def _unit_engine(
    values: Array, units: Units, found: Measured, rng: np.random.Generator, *, absences: bool = False
) -> UnitsLine | UnitsLabels:
    if found.size:
        return UnitsLabels(values.astype(np.intp), found.size, units, rng, absences and found.size > 2)
    order = np.argsort(values, kind="stable")
    widths = np.diff(values[order])
    if found.period:
        widths = np.append(widths, found.period - (values[order[-1]] - values[order[0]]))
    return UnitsLine(widths, units.taken(order), rng, closed=bool(found.period))


def _unit_test(engine: UnitsLine | UnitsLabels, units: Units) -> RelabellingTest:
    actual = np.arange(units.count) < units.first
    return RelabellingTest(engine, 0, engine.measure(actual))


def _unit_floor(found: Measured, alone: Units, sizes: tuple[int, int], rng: np.random.Generator) -> float:
    """Floor from random parts of the units of the reference."""
    count = alone.first
    n, m = sizes
    if count < 2:
        return math.nan
    x = _replace_codes_by_rank(found.x, found)

    def parts(k: int, l: int) -> Array:  # noqa: E741
        out = np.empty(FLOOR_DRAWS)
        for draw in range(FLOOR_DRAWS):
            chosen = random_subset(count, k + l, rng)
            place = np.cumsum(chosen) - 1
            rows = chosen[alone.of_row]
            some = Units(place[alone.of_row[rows]], alone.mass[rows], k, k + l)
            engine = _unit_engine(x[rows], some, found, rng)
            out[draw] = engine.measure(random_subset(k + l, k, rng))
        return out

    if found.size:
        return label_floor(parts, n, m, count)
    k, l = shrunk(n, m, count)  # noqa: E741
    draws = _known(parts(k, l))
    return float(np.quantile(draws, FLOOR_LEVEL)) * line_rate(n, m, k, l) if len(draws) else math.nan


def relabelling_tests(tests: Sequence[ColumnTests]) -> list[RelabellingTest]:
    """Those that need draws."""
    every = [test for column in tests for test in (column.values, column.missing)]
    return [test for test in every if isinstance(test, RelabellingTest)]
