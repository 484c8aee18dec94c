"""Permutation tests and noise floors: exact where they can be enumerated, honest under the null."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest, wasserstein_distance

import otdist
from otdist import metrics
from otdist.errors import InputError
from otdist.stats import noise_floor, permutation_test
from otdist.stats.draws import SPLIT_BATCH_LABELS, LinePool, MatrixPool, draw_subset, shrink_sizes
from otdist.stats.relabelling import CountedLabels

VALUES = np.array([0.0, 0.5, 0.5, 1.75, 4.0, 4.125, 9.0])  # seven values, one tie
PLANE = np.array([[0.0, 0.0], [3.0, 1.0], [1.0, 2.0], [4.0, 4.0], [0.5, 5.0], [2.0, 2.5]])


def splits(size, k, m):
    """All ways to draw k rows and m others from a pool."""
    for left in combinations(range(size), k):
        rest = [i for i in range(size) if i not in left]
        for right in combinations(rest, m):
            yield list(left), list(right)


def line_distances(k, m):
    return np.array([wasserstein_distance(VALUES[i], VALUES[j]) for i, j in splits(len(VALUES), k, m)])


def same_distribution(draws, exact):
    """Whether the draws come from the equally likely exact values: same values, right frequencies."""
    possible, ways = np.unique(np.round(exact, 9), return_counts=True)
    distinct, counts = np.unique(np.round(draws, 9), return_counts=True)
    assert np.isin(distinct, possible).all(), "a draw that no split gives"
    share = dict(zip(distinct, counts, strict=True))
    # Five standard deviations for each value: a false alarm in about one of a million.
    for value, n in zip(possible, ways, strict=True):
        p = n / len(exact)
        assert abs(share.get(value, 0) - p * len(draws)) <= 5 * np.sqrt(len(draws) * p * (1 - p)) + 1
    return True


class TestPools:
    @pytest.mark.parametrize(("k", "m"), [(3, 4), (1, 6), (2, 2), (1, 1), (5, 1)])
    def test_the_line_draws_every_split_equally_often_and_measures_it_as_scipy_does(self, k, m, rng):
        assert same_distribution(LinePool(rng.permutation(VALUES))(k, m, 20_000, rng), line_distances(k, m))

    @pytest.mark.parametrize(("k", "m"), [(3, 4), (2, 3), (1, 1)])
    def test_labels_draw_every_split_equally_often_and_measure_total_variation(self, k, m, rng):
        labels = np.repeat([0, 1, 2], [4, 2, 1])
        exact = []
        for left, right in splits(7, k, m):
            p, q = (np.bincount(labels[rows], minlength=3) / len(rows) for rows in (left, right))
            exact.append(np.abs(p - q).sum() / 2)
        assert same_distribution(CountedLabels(np.array([4, 2, 1]), k, m, rng).draw([0], 5_000)[:, 0], exact)

    @pytest.mark.slow
    @pytest.mark.parametrize(("k", "m"), [(3, 4), (2, 2)])
    def test_a_cost_matrix_of_points_on_the_line_draws_as_the_line_does(self, k, m, rng):
        cost = np.abs(VALUES[:, None] - VALUES)
        assert same_distribution(MatrixPool(cost)(k, m, 1_000, rng), line_distances(k, m))

    @pytest.mark.slow
    def test_a_cost_matrix_draws_as_the_exact_distance_of_every_split(self, rng):
        cost = np.linalg.norm(PLANE[:, None] - PLANE, axis=-1)
        exact = [float(otdist.w1(PLANE[i], PLANE[j])) for i, j in splits(6, 2, 4)]
        assert same_distribution(MatrixPool(cost)(2, 4, 1_000, rng), exact)

    def test_draws_made_in_several_batches_are_all_made_and_all_different(self, rng):
        values = rng.normal(size=SPLIT_BATCH_LABELS // 4)
        draws = LinePool(values)(1000, len(values) - 1000, 9, rng)
        assert len(draws) == 9 and len(set(draws)) == 9
        assert draws.mean() == pytest.approx(1 / np.sqrt(1000), rel=0.5)

    @given(st.integers(1, 10**6), st.integers(1, 10**6), st.integers(2, 10**6))
    def test_parts_fit_into_the_pool_in_the_ratio_asked_for(self, n, m, available):
        k, rest = shrink_sizes(n, m, available)
        assert k >= 1 and rest >= 1 and k + rest <= available
        if n + m <= available:
            assert (k, rest) == (n, m)
        else:
            assert k + rest == available
            assert abs(k - available * n / (n + m)) <= 1


class TestPermutationTest:
    @pytest.mark.slow
    def test_small_p_values_are_not_more_frequent_than_they_say(self):
        rng = np.random.default_rng(11)
        p = np.array(
            [
                permutation_test(rng.normal(size=20), rng.normal(size=15), n_resamples=99, rng=rng).pvalue
                for _ in range(400)
            ]
        )
        for level in (0.02, 0.05, 0.1, 0.5):
            # Exactly uniform on 0.01, ..., 1 for values without ties: neither too small nor too large.
            assert binomtest(int((p <= level + 1e-12).sum()), len(p), level).pvalue > 1e-3

    @pytest.mark.slow
    def test_small_p_values_are_rare_in_the_plane_with_ties_and_unequal_sizes(self):
        rng = np.random.default_rng(12)
        p = [
            permutation_test(
                rng.integers(0, 3, (12, 2)), rng.integers(0, 3, (5, 2)), n_resamples=39, rng=rng
            ).pvalue
            for _ in range(150)
        ]
        assert binomtest(int(np.sum(np.array(p) <= 0.1)), 150, 0.1, alternative="greater").pvalue > 1e-3

    def test_the_p_value_is_the_share_of_splits_that_are_as_far_apart(self):
        x, y = VALUES[[0, 1, 3]], VALUES[[2, 4, 5, 6]]
        exact = line_distances(3, 4)
        share = np.mean(exact >= wasserstein_distance(x, y) - 1e-12)
        pvalue = permutation_test(x, y, n_resamples=20_000, rng=4).pvalue
        assert pvalue == pytest.approx(share, abs=5 * np.sqrt(share * (1 - share) / 20_000) + 1e-4)

    def test_the_p_value_counts_the_observed_labelling_as_one(self, rng):
        x, y = rng.normal(size=30), rng.normal(0.4, 1, size=20)
        test = permutation_test(x, y, n_resamples=199, rng=1)
        assert test.null.shape == (199,)
        assert test.pvalue == (1 + np.sum(test.null >= float(test.result))) / 200

    @pytest.mark.parametrize("d", [1, 2])
    def test_a_clear_shift_gives_the_smallest_p_value_there_is(self, rng, d):
        x, y = rng.normal(size=(60, d)), rng.normal(2, 1, size=(40, d))
        assert permutation_test(x, y, n_resamples=99, rng=1).pvalue == 1 / 100

    def test_a_change_of_spread_is_found_although_the_means_agree(self, rng):
        x, y = rng.normal(size=300), rng.normal(0, 2, size=300)
        assert permutation_test(x, y, n_resamples=199, rng=1).pvalue == 1 / 200

    @pytest.mark.parametrize("d", [1, 2])
    def test_equal_values_throughout_give_p_one(self, d):
        test = permutation_test(np.full((9, d), 0.1), np.full((7, d), 0.1), n_resamples=19, rng=0)
        assert test.pvalue == 1 and float(test.result) == 0 and not test.null.any()

    @pytest.mark.parametrize("d", [1, 2])
    def test_equal_samples_give_p_one(self, rng, d):
        x = rng.normal(size=(15, d))
        assert permutation_test(x, x[::-1], n_resamples=19, rng=0).pvalue == 1

    @pytest.mark.parametrize(("scale", "shift"), [(3.7, 0.0), (1e-12, 5.0), (1e200, 0.0), (1, 1e6)])
    @pytest.mark.parametrize("d", [1, 2])
    def test_the_p_value_depends_on_neither_unit_nor_origin(self, rng, scale, shift, d):
        x, y = rng.integers(0, 40, (20, d)), rng.integers(4, 44, (16, d))
        plain = permutation_test(x, y, n_resamples=99, rng=5)
        moved = permutation_test(scale * (x + shift), scale * (y + shift), n_resamples=99, rng=5)
        assert moved.pvalue == plain.pvalue
        assert moved.null == pytest.approx(scale * plain.null, rel=1e-9)
        assert 0.01 < plain.pvalue < 0.9  # else nothing was compared

    def test_a_metric_on_the_line_that_is_no_plain_distance_gives_the_same_p_value_distribution(self, rng):
        x, y = rng.normal(size=12), rng.normal(0.8, 1, size=12)
        plain = permutation_test(x, y, n_resamples=2000, rng=1)
        half = permutation_test(x, y, metric=metrics.mixed([2.0]), n_resamples=2000, rng=2)
        assert float(half.result) == pytest.approx(float(plain.result) / 2, rel=1e-12)
        assert half.null.mean() == pytest.approx(plain.null.mean() / 2, rel=0.1)
        assert half.pvalue == pytest.approx(plain.pvalue, abs=0.06)

    def test_null_distances_on_a_circle_stay_below_half_its_length(self, rng):
        x, y = rng.uniform(0, 24, 15), rng.uniform(0, 24, 15)
        test = permutation_test(x, y, metric=metrics.periodic(24.0), n_resamples=49, rng=1)
        assert test.null.max() <= 12 and float(test.result) <= 12

    def test_the_result_is_the_distance_with_its_interval(self, rng):
        x, y = rng.normal(size=(8, 3)), rng.normal(size=(9, 3))
        test = permutation_test(x, y, metric="cityblock", n_resamples=9, rng=1)
        assert test.result.to_dict() == otdist.w1(x, y, metric="cityblock").to_dict()

    @pytest.mark.parametrize("d", [1, 2])
    def test_a_seed_repeats_the_draws_and_threads_do_not_change_them(self, rng, d):
        x, y = rng.normal(size=(15, d)), rng.normal(size=(10, d))
        first = permutation_test(x, y, n_resamples=19, rng=3)
        again = permutation_test(x, y, n_resamples=19, rng=np.random.default_rng(3), n_jobs=2)
        other = permutation_test(x, y, n_resamples=19, rng=4)
        assert np.array_equal(first.null, again.null)
        assert not np.array_equal(first.null, other.null)

    def test_the_global_generator_is_left_alone(self, rng):
        before = np.random.get_state()[1].copy()  # noqa: NPY002
        permutation_test(rng.normal(size=9), rng.normal(size=9), n_resamples=9)
        noise_floor(rng.normal(size=(9, 2)), 3, 3, n_resamples=9)
        assert np.array_equal(before, np.random.get_state()[1])  # noqa: NPY002

    def test_omitted_rows_count_as_absent(self, rng):
        x, y = rng.normal(size=12), rng.normal(size=10)
        gappy = np.insert(x, [0, 5], np.nan)
        plain = permutation_test(x, y, n_resamples=29, rng=1)
        omitted = permutation_test(gappy, y, nan_policy="omit", n_resamples=29, rng=1)
        assert np.array_equal(plain.null, omitted.null) and plain.pvalue == omitted.pvalue

    def test_a_missing_value_is_an_error_or_a_nan_as_asked(self):
        with pytest.raises(InputError, match=r"^x: 1 of 2 rows"):
            permutation_test([1.0, np.nan], [1.0, 2.0])
        test = permutation_test([1.0, np.nan], [1.0, 2.0], nan_policy="propagate")
        assert np.isnan(test.pvalue) and np.isnan(float(test.result))

    def test_infinite_values_are_refused(self):
        with pytest.raises(InputError, match="infinite"):
            permutation_test([1.0, np.inf], [1.0, 2.0])


class TestNoiseFloor:
    @pytest.mark.slow
    def test_it_is_what_independent_samples_of_the_distribution_are_apart(self):
        rng = np.random.default_rng(21)
        truth = [wasserstein_distance(rng.normal(size=400), rng.normal(size=400)) for _ in range(200)]
        floor = noise_floor(rng.normal(size=20_000), 400, 400, n_resamples=200, rng=1)
        assert (floor.n, floor.m) == (400, 400)
        assert floor.mean == pytest.approx(np.mean(truth), rel=0.1)
        assert floor.quantile(0.95) == pytest.approx(np.quantile(truth, 0.95), rel=0.2)

    def test_two_halves_of_a_short_reference_stand_for_larger_sizes(self):
        rng = np.random.default_rng(22)
        truth = np.mean(
            [wasserstein_distance(rng.normal(size=2000), rng.normal(size=1000)) for _ in range(99)]
        )
        floors = [noise_floor(rng.normal(size=300), 2000, 1000, rng=rng) for _ in range(9)]
        assert {(floor.n, floor.m) for floor in floors} == {(200, 100)}
        assert np.mean([floor.mean for floor in floors]) == pytest.approx(truth, rel=0.15)

    def test_in_more_dimensions_a_short_reference_gives_a_floor_that_is_too_high_not_too_low(self):
        rng = np.random.default_rng(23)
        reference = rng.normal(size=(400, 3))
        right = noise_floor(reference, 100, 100, n_resamples=19, rng=1)
        short = noise_floor(reference[:60], 100, 100, n_resamples=19, rng=1)
        assert (right.n, short.n) == (100, 30)
        assert right.mean < short.mean

    @pytest.mark.slow
    def test_it_falls_as_one_over_the_root_of_the_size_on_the_line(self):
        reference = np.random.default_rng(24).normal(size=20_000)
        means = [noise_floor(reference, n, n, rng=1).mean for n in (50, 200, 800)]
        assert means[0] / means[1] == pytest.approx(2, rel=0.15)
        assert means[1] / means[2] == pytest.approx(2, rel=0.15)

    @pytest.mark.parametrize("scale", [3.7, 1e-30, 1e30, 1e-200, 1e200])
    @pytest.mark.parametrize("d", [1, 2])
    def test_it_is_in_the_units_of_the_reference(self, rng, scale, d):
        x = rng.normal(size=(40, d))
        plain, scaled = (noise_floor(s * x, 15, 10, n_resamples=19, rng=6) for s in (1.0, scale))
        assert scaled.draws == pytest.approx(scale * plain.draws, rel=1e-10)
        assert plain.mean > 0

    @pytest.mark.parametrize("d", [1, 2])
    def test_it_does_not_depend_on_the_origin(self, rng, d):
        x = rng.integers(-50, 50, (40, d)).astype(float)
        near, far = (noise_floor(x + c, 15, 10, n_resamples=19, rng=6).draws for c in (0.0, 2.0**40))
        assert near == pytest.approx(far, rel=1e-12)

    def test_a_constant_reference_has_no_noise(self):
        assert not noise_floor(np.full(20, 0.1), 5, 5, n_resamples=9).draws.any()

    def test_quantiles_and_mean_are_those_of_the_draws(self, rng):
        floor = noise_floor(rng.normal(size=50), 10, 10, n_resamples=49, rng=1)
        assert floor.draws.shape == (49,)
        assert floor.mean == np.mean(floor.draws)
        assert floor.quantile(0.5) == np.median(floor.draws)
        assert (
            floor.quantile(0) == floor.draws.min() < floor.quantile() < floor.quantile(1) == floor.draws.max()
        )

    @pytest.mark.parametrize(
        ("reference", "words"),
        [
            ([1.0], "one row"),
            ([[1.0, 2.0]], "one row"),
            ([1.0, np.inf], "infinite"),
            ([1.0, np.nan], "missing"),
        ],
    )
    def test_a_reference_that_cannot_be_split_is_refused_by_its_name(self, reference, words):
        with pytest.raises(InputError, match=rf"^reference: .*{words}"):
            noise_floor(reference, 1, 1)

    @pytest.mark.parametrize(("n", "m"), [(0, 5), (5, 0), (-1, 5)])
    def test_sizes_below_one_are_refused(self, n, m):
        with pytest.raises(InputError, match=">= 1"):
            noise_floor([1.0, 2.0, 3.0], n, m)


class TestRandomSubset:
    @pytest.mark.slow
    def test_every_subset_is_equally_likely(self):
        rng = np.random.default_rng(5)
        counts = {}
        for _ in range(6000):
            mask = draw_subset(5, 2, rng)
            counts[tuple(np.flatnonzero(mask))] = counts.get(tuple(np.flatnonzero(mask)), 0) + 1
        assert len(counts) == 10
        assert all(480 < count < 720 for count in counts.values()), counts  # 600 +- 5 sigma

    @pytest.mark.parametrize(
        ("n", "k"), [(1, 1), (7, 0), (7, 7), (100_000, 1), (100_000, 99_999), (70_000, 30_000)]
    )
    def test_it_has_the_size_asked_for(self, n, k):
        assert draw_subset(n, k, np.random.default_rng(0)).sum() == k

    def test_long_pools_agree_with_short_ones(self, monkeypatch):
        pool = LinePool(np.random.default_rng(1).normal(size=300))
        short = pool(150, 100, 800, np.random.default_rng(2))
        monkeypatch.setattr("otdist.stats.draws.MAX_BATCHED_ROWS", 10)
        long = pool(150, 100, 800, np.random.default_rng(3))
        error = 4 * np.sqrt(short.var() / 800 + long.var() / 800)
        assert abs(short.mean() - long.mean()) < error
        assert abs(short.std() / long.std() - 1) < 0.2


def test_a_reference_with_one_complete_row_is_refused():
    with pytest.raises(InputError, match="one row"):
        otdist.stats.noise_floor([1.0, np.nan], 1, 1, nan_policy="omit")


def test_a_level_is_a_share():
    floor = otdist.stats.noise_floor([1.0, 2.0, 3.0, 4.0], 2, 2, n_resamples=9, rng=0)
    with pytest.raises(InputError, match="level"):
        floor.quantile(95)


class TestLargestNumbers:
    """Costs near the largest float64 do not overflow in sums, nor do small ones vanish."""

    @pytest.mark.parametrize("d", [1, 2])
    @pytest.mark.parametrize("scale", [2.0**-1000, 2.0**1018])
    @pytest.mark.parametrize("metric", ["mixed", "callable", "periodic"])
    def test_draws_scale_with_the_data(self, rng, d, scale, metric):
        x, y = rng.random((2, 7, d))
        ground = {
            "mixed": otdist.metrics.mixed([1.0] * d),
            "callable": lambda u, v: float(np.abs(u - v).max()),
            "periodic": otdist.metrics.periodic([None] * d),
        }[metric]
        near = permutation_test(x, y, metric=ground, n_resamples=9, rng=1)
        far = permutation_test(scale * x, scale * y, metric=ground, n_resamples=9, rng=1)
        assert far.pvalue == near.pvalue
        np.testing.assert_allclose(far.null / scale, near.null, rtol=1e-12)
        floors = [
            noise_floor(s * x, 3, 3, metric=ground, n_resamples=9, rng=1).draws / s for s in (1.0, scale)
        ]
        np.testing.assert_allclose(*floors, rtol=1e-12)

    @pytest.mark.parametrize("d", [1, 2])
    def test_ranges_beyond_the_largest_number(self, rng, d):
        x, y = (1.7e308 * rng.uniform(-1, 1, size=(9, d)) for _ in range(2))
        for metric in ("gower", "euclidean", "cosine"):
            test = permutation_test(x, y, metric=metric, n_resamples=9, rng=1)
            assert np.isfinite(test.null).all() and 0 < test.pvalue <= 1
        with pytest.raises(otdist.InputError, match="exceed"):
            permutation_test(x, y, metric=otdist.metrics.mixed([1.0] * d), n_resamples=9, rng=1)
        with pytest.raises(otdist.InputError, match="exceed"):
            noise_floor(x, 3, 3, metric=otdist.metrics.mixed([1.0] * d), n_resamples=9, rng=1)
