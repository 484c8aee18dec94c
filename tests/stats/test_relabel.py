"""Relabellings: each engine by explicit relabellings and other formulas, and p-values that are valid."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from fractions import Fraction
from itertools import combinations
from math import comb, sqrt
from typing import Any

import numpy as np
import pytest
from scipy.stats import wasserstein_distance

import otdist
from otdist.stats.relabelling import (
    MAX_EXCEEDANCES,
    MAX_UNGROUPED_ROWS,
    CountedCircle,
    CountedLabels,
    CountedLine,
    RelabellingTest,
    SharedLine,
    Units,
    UnitsLabels,
    UnitsLine,
    UnitsMatrix,
    advance,
    compute_share_pvalue,
    group_values,
)
from otdist.tables.decisions import compute_required_draws, decide


def singles(n: int, m: int, mass: Any = None) -> Units:
    """Each row a unit."""
    return Units(np.arange(n + m), np.ones(n + m) if mass is None else mass, n, n + m)


def relabelled(pool: np.ndarray, k: int) -> dict[float, int]:
    """How often each distance occurs among all relabellings of a pool."""
    counts: Counter[float] = Counter()
    for left in combinations(range(len(pool)), k):
        inside = np.isin(np.arange(len(pool)), left)
        counts[round(wasserstein_distance(pool[inside], pool[~inside]), 12)] += 1
    return counts


class TestSharePvalue:
    @pytest.mark.parametrize("n", range(1, 8))
    @pytest.mark.parametrize("m", range(1, 8))
    def test_it_is_the_share_of_relabellings_at_least_as_far_apart(self, n, m):
        for a in range(n + 1):
            for b in range(m + 1):
                total = a + b
                observed = abs(Fraction(a, n) - Fraction(b, m))
                hits = sum(
                    comb(total, i) * comb(n + m - total, n - i)
                    for i in range(max(0, total - m), min(n, total) + 1)
                    if abs(Fraction(i, n) - Fraction(total - i, m)) >= observed
                )
                exact = Fraction(hits, comb(n + m, n))
                assert compute_share_pvalue(a, n, b, m) == pytest.approx(float(exact), rel=1e-12), (a, b)

    def test_it_is_the_same_for_either_side_and_for_the_other_label(self):
        for a, n, b, m in ((3, 10, 8, 11), (0, 5, 1, 200), (17, 1000, 40, 900)):
            p = compute_share_pvalue(a, n, b, m)
            assert compute_share_pvalue(b, m, a, n) == pytest.approx(p, rel=1e-9)
            assert compute_share_pvalue(n - a, n, m - b, m) == pytest.approx(p, rel=1e-9)

    def test_millions_of_rows_are_no_trouble(self):
        assert compute_share_pvalue(0, 10**7, 10**6, 10**7) < 1e-300
        assert compute_share_pvalue(10**6, 10**7, 10**6, 10**7) == 1.0
        assert compute_share_pvalue(0, 10**7, 1, 10**7) == pytest.approx(1.0, rel=1e-12)


class TestEngines:
    """The distribution of an engine's draws is that of all relabellings."""

    POOL = np.array([0.0, 1.0, 1.0, 2.5, 2.5, 2.5, 4.0, 7.0, 7.5])

    def engines(self, k: int) -> dict[str, Any]:
        rng = np.random.default_rng(4)
        pool, rest = self.POOL, len(self.POOL) - k
        places, counts = np.unique(pool, return_counts=True)
        return {
            "SharedLine": SharedLine(np.diff(pool)[:, None], k, rest, rng),
            "CountedLine": CountedLine(counts, np.diff(places), k, rest, rng),
            "UnitsLine": UnitsLine(np.diff(pool), singles(k, rest), rng),
            "UnitsMatrix": UnitsMatrix(abs(pool[:, None] - pool), singles(k, rest), rng),
        }

    @pytest.mark.parametrize("k", [1, 4, 6])
    @pytest.mark.parametrize("name", ["SharedLine", "CountedLine", "UnitsLine", "UnitsMatrix"])
    def test_draws_are_explicit_relabellings_as_often_as_those(self, name, k):
        known = relabelled(self.POOL, k)
        size = 400 if name == "UnitsMatrix" else 2000
        draws = self.engines(k)[name].draw([0], size)
        assert draws.shape == (size, 1)
        frequencies = Counter(round(float(value), 12) for value in draws[:, 0])
        assert set(frequencies) <= set(known)
        total = sum(known.values())
        for value, count in known.items():
            share = count / total
            assert abs(frequencies[value] / size - share) <= 5 * sqrt(share * (1 - share) / size), value

    def test_columns_that_share_a_relabelling_are_each_relabelled_alike(self, rng):
        pools = np.sort(rng.normal(size=(11, 3)), axis=0)
        engine, alone = (
            SharedLine(widths, 4, 7, np.random.default_rng(2))
            for widths in (np.diff(pools, axis=0), np.diff(pools[:, [1]], axis=0))
        )
        np.testing.assert_allclose(engine.draw([0, 1, 2], 50)[:, 1], alone.draw([0], 50)[:, 0], rtol=1e-12)
        np.testing.assert_allclose(engine.draw([2, 1], 50)[:, 1], alone.draw([0], 50)[:, 0], rtol=1e-12)

    def test_a_part_of_a_pool_is_split_for_the_noise_floor(self):
        pool = np.arange(6.0)
        known = set()
        for left in combinations(range(6), 2):
            for right in combinations(set(range(6)) - set(left), 3):
                known.add(round(wasserstein_distance(pool[list(left)], pool[list(right)]), 12))
        rng = np.random.default_rng(0)
        for engine in (
            SharedLine(np.ones((5, 1)), 2, 3, rng),
            CountedLine(np.ones(6, dtype=np.int64), np.ones(5), 2, 3, rng),
        ):
            assert {round(float(value), 12) for value in engine.draw([0], 1000)[:, 0]} == known

    @pytest.mark.parametrize("period", [24.0, 10.0])
    def test_a_circle_is_w1_with_the_periodic_metric(self, rng, period):
        places = np.sort(rng.choice(100, 12, replace=False)) * period / 100
        counts = rng.integers(1, 5, 12)
        widths = np.append(np.diff(places), period - (places[-1] - places[0]))
        k = int(counts.sum()) // 3
        left = rng.multivariate_hypergeometric(counts, k, size=20)
        engine = CountedCircle(counts, widths, k, int(counts.sum()) - k, rng)
        units = UnitsLine(
            np.append(np.diff(np.repeat(places, counts)), widths[-1]),
            singles(k, int(counts.sum()) - k),
            rng,
            circular=True,
        )
        for row, distance in zip(left, engine.measure(left, counts - left), strict=True):
            x, y = np.repeat(places, row), np.repeat(places, counts - row)
            expected = float(otdist.w1(x, y, metric=otdist.metrics.periodic(period)))
            assert distance == pytest.approx(expected, rel=1e-9)
            chosen = np.concatenate([np.arange(c) < r for r, c in zip(row, counts, strict=True)])
            assert units.measure(chosen) == pytest.approx(expected, rel=1e-9)

    @pytest.mark.slow
    @pytest.mark.parametrize("absences", [False, True])
    def test_labels_are_the_total_variation_and_what_one_side_lacks(self, absences):
        counts = np.array([5, 1, 3, 1, 1])
        codes = np.repeat(np.arange(5), counts)
        known: Counter[float] = Counter()
        for left in combinations(range(11), 4):
            inside = np.isin(np.arange(11), left)
            before, after = (np.bincount(codes[side], minlength=5) for side in (inside, ~inside))
            distance = np.abs(before / 4 - after / 7).sum() / 2
            if absences:
                distance += before[after == 0].sum() / 4 + after[before == 0].sum() / 7
            known[round(float(distance), 12)] += 1
        for engine in (
            CountedLabels(counts, 4, 7, np.random.default_rng(1), absences),
            UnitsLabels(codes, 5, singles(4, 7), np.random.default_rng(1), absences),
        ):
            frequencies = Counter(round(float(value), 12) for value in engine.draw([0], 2000)[:, 0])
            assert set(frequencies) <= set(known)
            for value, count in known.items():
                share = count / comb(11, 4)
                assert abs(frequencies[value] / 2000 - share) <= 5 * sqrt(share * (1 - share) / 2000)

    def test_units_move_as_wholes(self):
        units = Units(np.array([0, 0, 1, 2, 2, 3]), np.ones(6), 2, 4)
        pool = np.array([0.0, 1, 2, 10, 11, 30])
        engine = UnitsLine(np.diff(pool), units, np.random.default_rng(0))
        known = set()
        for left in combinations(range(4), 2):
            inside = np.isin(units.row_units, left)
            known.add(round(wasserstein_distance(pool[inside], pool[~inside]), 12))
        assert {round(float(value), 12) for value in engine.draw([0], 400)[:, 0]} == known

    def test_weights_are_masses(self, rng):
        pool, mass = np.sort(rng.normal(size=9)), rng.uniform(0.1, 3, 9)
        chosen = np.arange(9) % 2 == 0
        units = singles(5, 4, mass)
        expected = wasserstein_distance(pool[chosen], pool[~chosen], mass[chosen], mass[~chosen])
        line = UnitsLine(np.diff(pool), units, rng).measure(chosen)
        matrix = UnitsMatrix(abs(pool[:, None] - pool), units, rng).measure(chosen)
        assert line == pytest.approx(expected, rel=1e-12)
        assert matrix == pytest.approx(expected, rel=1e-9)


class TestGroups:
    def test_few_values_are_counted_and_many_are_brought_to_groups(self, rng):
        places, counts = group_values(np.array([1.0, 1, 2, 5, 5, 5]))
        assert (places.tolist(), counts.tolist()) == ([1, 2, 5], [2, 1, 3])
        values = np.sort(np.append(rng.normal(size=MAX_UNGROUPED_ROWS), [1e6, 1e7]))
        places, counts = group_values(values)
        assert len(places) <= 1100 and counts.sum() == len(values) and (np.diff(places) > 0).all()
        ends = np.cumsum(counts)
        # Groups are runs of neighbours, and their places means.
        assert places[-1] == 1e7 and places[-2] == 1e6
        for k in (0, 7, 500):
            part = values[ends[k] - counts[k] : ends[k]]
            assert places[k] == pytest.approx(part.mean(), rel=1e-12)

    def test_ties_are_never_split(self, rng):
        values = np.sort(np.round(rng.normal(size=3 * MAX_UNGROUPED_ROWS), 3))
        places, counts = group_values(values)
        ends = np.cumsum(counts)[:-1]
        assert (values[ends] > values[ends - 1]).all() and len(places) == len(counts)


def pvalues(make: Any, runs: int, total: int = 199) -> np.ndarray:
    """P-values of tests whose observed distance is itself a relabelling."""
    results = []
    for seed in range(runs):
        rng = np.random.default_rng(seed)
        test = RelabellingTest(make(rng), 0, 0.0)
        test.observed = float(test.engine.draw([0], 1)[0, 0])
        advance([test], total)
        results.append(test.pvalue)
    return np.array(results)


def shared(rng):
    return SharedLine(np.diff(np.sort(rng.normal(size=30)))[:, None], 12, 18, rng)


def counted(rng):
    counts = rng.multinomial(40, np.full(6, 1 / 6)) + 1
    return CountedLine(counts, rng.exponential(size=5), 20, 26, rng)


def labelled(rng):
    return CountedLabels(rng.multinomial(40, np.full(6, 1 / 6)) + 1, 20, 26, rng)


def labelled_with_absences(rng):
    return replace(labelled(rng), absences=True)


def by_units(rng):
    units = Units(np.sort(rng.integers(0, 14, 40)), rng.uniform(0.5, 2, 40), 7, 14)
    return UnitsLine(np.diff(np.sort(rng.normal(size=40))), units.take(rng.permutation(40)), rng)


class TestPvalues:
    @pytest.mark.slow
    @pytest.mark.parametrize("make", [shared, counted, labelled, labelled_with_absences, by_units])
    @pytest.mark.parametrize("total", [19, 199])
    def test_they_are_valid_at_every_level(self, make, total):
        runs = 300
        sampled = pvalues(make, runs, total)
        for level in (0.05, 0.1, 0.2, 0.5):
            # Ties make p-values of counts larger, never smaller.
            assert (sampled <= level).mean() <= level + 3 * sqrt(level * (1 - level) / runs)
        assert (sampled <= 0.5).mean() > 0.3  # and they are not valid by being 1

    def test_a_test_ends_after_so_many_relabellings_as_far_apart(self):
        test = RelabellingTest(shared(np.random.default_rng(0)), 0, 0.0)
        advance([test], 999)
        assert (test.draws, test.exceedances, test.pvalue) == (MAX_EXCEEDANCES, MAX_EXCEEDANCES, 1.0)

    def test_the_count_does_not_depend_on_how_draws_come_in_batches(self, rng):
        distances = rng.random(400)
        whole, parts = (RelabellingTest(shared(rng), 0, 0.9) for _ in range(2))
        whole.record(distances)
        for part in np.array_split(distances, 7):
            if not parts.ended:
                parts.record(part)
        last = int(np.flatnonzero(distances >= 0.9)[MAX_EXCEEDANCES - 1]) + 1
        assert (whole.draws, whole.exceedances) == (parts.draws, parts.exceedances) == (last, MAX_EXCEEDANCES)
        assert whole.pvalue == MAX_EXCEEDANCES / last

    def test_a_relabelling_equal_up_to_rounding_counts_as_far_apart(self):
        test = RelabellingTest(shared(np.random.default_rng(0)), 0, 1.0)
        test.record(np.array([1 - 1e-12, 1 - 1e-6, np.nan, 2.0]))
        assert (test.draws, test.exceedances) == (4, 3)  # one without a distance counts as well


class TestDecisions:
    def waiting(self, draws: int, exceedances: int = 0) -> RelabellingTest:
        return RelabellingTest(shared(np.random.default_rng(0)), 0, 1.0, exceedances, draws)

    def test_as_many_relabellings_are_asked_for_as_one_alone_needs(self):
        still = [0.9] * 59
        needed = compute_required_draws([self.waiting(999), *still], 0.05)
        assert needed >= 60 / 0.05  # the least q is 60 / (needed + 1)
        assert decide([self.waiting(999), *still], 0.05)[0].verdict == "undecided"
        assert decide([self.waiting(needed), *still], 0.05)[0].verdict == "moved"

    def test_none_are_asked_for_where_none_waits(self):
        assert compute_required_draws([0.001, 0.5, None, self.waiting(999, exceedances=1)], 0.05) == 0
        assert compute_required_draws([], 0.05) == compute_required_draws([None], 0.05) == 0

    def test_what_is_not_tested_does_not_count(self):
        with_gaps = decide([0.01, None, 0.04, None], 0.05)
        assert [d.verdict for d in with_gaps] == ["moved", "not measured", "moved", "not measured"]
        assert [d.qvalue for d in with_gaps if d.qvalue == d.qvalue] == [0.02, 0.04]

    def test_one_that_a_relabelling_has_reached_is_not_undecided(self):
        assert decide([self.waiting(19, exceedances=1), 0.9], 0.05)[0].verdict == "not moved"
