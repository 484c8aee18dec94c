"""Sums of exponentials over all pairs against scipy's, and plans that are one and the same in every sum."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.distance import cdist
from scipy.special import logsumexp

from otdist.runtime import parallel
from otdist.solvers.entropic import logsumexp32_kernels
from otdist.solvers.entropic.iteration import FLOAT32_NOISE
from otdist.solvers.entropic.logsumexp32 import MatrixLogSumExp, PointLogSumExp32, make_logsumexp
from otdist.solvers.pairs.distance_tiles import TILE
from otdist.solvers.pairs.kd_order import kd_order
from otdist.solvers.pairs.matrix_costs import MatrixCosts
from otdist.solvers.pairs.point_costs import KIND_OF_METRIC, PointCosts

NAMES = sorted(KIND_OF_METRIC)
DIMENSIONS = [1, 2, 3, 4, 5, 7, 8, 9, 16, 33, 64]
SIZES = [(1, 1), (1, 300), (7, 255), (19, 256), (8, 257), (300, 5), (33, 513), (66, 1025)]
EPS = np.array([1e6, 1.0, 0.05, 1e-2, 1e-3, 1e-5])  # relative to the extent
FACTOR = 1e-13  # relative error of sums that differ by float64 rounding


def clouds(rng, n, m, d):
    x, y = rng.normal(size=(n, d)), rng.normal(size=(m, d)) + 0.5
    return x[kd_order(x)], y[kd_order(y)]


def pair_streams(name, x, y):
    return PointLogSumExp32(PointCosts.of(x, y, KIND_OF_METRIC[name])), cdist(x, y, name)


def masses(rng, n):
    return np.log(rng.dirichlet(np.ones(n)))


def softmin(cost, g, log_b, eps):
    return -eps * logsumexp(log_b + (g - cost) / eps, axis=1)


def noise(cost, g, log_b, eps):
    """Bound of the error of a softmin: eight float32 roundings of all that an exponent is made of."""
    return 4 * FLOAT32_NOISE * (cost.max() + np.ptp(g) + eps * (1 + np.ptp(log_b)))


def uses_boxes(made, eps):
    return bool(made._prepare_exponents(made.pairs.y, np.zeros(made.pairs.shape[1]), eps)[2].used)


def rebuilt(made, logs, eps):
    """The plan, column by column: factors choose what is summed."""
    return np.stack([made.plan_sums(*logs, eps, None, one).rows for one in np.eye(len(logs[1]))], axis=1)


class TestSoftmin:
    @pytest.mark.parametrize("name", NAMES)
    @pytest.mark.parametrize("d", DIMENSIONS)
    def test_all_kinds_dimensions_and_sizes(self, name, d):
        rng = np.random.default_rng([d, NAMES.index(name)])
        boxed = set()
        for n, m in SIZES:
            made, cost = pair_streams(name, *clouds(rng, n, m, d))
            for eps in EPS * made.pairs.extent:
                boxed.add(uses_boxes(made, eps))
                for table, flip in ((cost, False), (cost.T, True)):
                    k = table.shape[1]
                    g, log_b = rng.normal(size=k) * cost.max() / 4, masses(rng, k)
                    found = made.softmin(g, log_b, eps, flip)
                    assert found.shape == (len(table),)
                    error = np.abs(found - softmin(table, g, log_b, eps))
                    assert error.max() <= noise(table, g, log_b, eps), (n, m, eps, flip)
        assert boxed == ({True, False} if d <= 8 else {False})

    @pytest.mark.slow
    @pytest.mark.parametrize("name", NAMES)
    @pytest.mark.parametrize("eps", [1e-2, 1e-4, 1e-6])
    def test_potentials_that_fit_where_most_runs_are_left_out(self, name, eps, rng):
        # As in the iteration: g is itself a softmin, and all rows have their largest terms nearby.
        made, cost = pair_streams(name, *clouds(rng, 700, 900, 2))
        log_a, log_b = masses(rng, 700), masses(rng, 900)
        g = np.zeros(900)
        for _ in range(3):
            f = made.softmin(g, log_b, eps)
            assert np.abs(f - softmin(cost, g, log_b, eps)).max() <= noise(cost, g, log_b, eps)
            h = made.softmin(f, log_a, eps, flip=True)
            assert np.abs(h - softmin(cost.T, f, log_a, eps)).max() <= noise(cost.T, f, log_a, eps)
            g = h

    @pytest.mark.parametrize("name", NAMES)
    @pytest.mark.parametrize("raised", range(4))
    def test_runs_are_left_out_only_when_nothing_in_them_counts(self, name, raised):
        # Tight clusters in runs of their own, one point with a potential that makes up for its distance.
        rng = np.random.default_rng([11, raised])
        centres = 100.0 * np.arange(4)[:, None] * np.ones(2)
        y = np.repeat(centres, TILE, axis=0) + rng.normal(size=(4 * TILE, 2))
        x = np.repeat(centres, 10, axis=0) + rng.normal(size=(40, 2))
        made, cost = pair_streams(name, x, y)
        g, log_b = np.zeros(len(y)), np.full(len(y), -np.log(len(y)))
        g[raised * TILE + rng.integers(TILE)] = 0.99 * float(cost.max())
        for eps in (10.0, 0.5, 0.01):
            error = np.abs(made.softmin(g, log_b, eps) - softmin(cost, g, log_b, eps))
            assert error.max() <= noise(cost, g, log_b, eps)
        assert uses_boxes(made, 0.01)

    @pytest.mark.parametrize("exponent", [-10, -20, -28])
    def test_many_small_terms_count_however_large_the_largest(self, exponent, rng):
        # All points coincide: nothing but the masses, one of which is 1, and all others 2**exponent.
        made, _ = pair_streams("euclidean", np.zeros((5, 2)), np.zeros((64 * TILE, 2)))
        for place in (0, TILE, 64 * TILE - 1):
            log_b = np.full(64 * TILE, exponent * np.log(2.0))
            log_b[place] = 0.0
            found = made.softmin(np.zeros(64 * TILE), log_b, 1.0)
            expected = -np.log1p((64 * TILE - 1) * 2.0**exponent)
            np.testing.assert_allclose(found, expected, rtol=4 * FLOAT32_NOISE, atol=2 * FLOAT32_NOISE)

    def test_masses_over_hundreds_of_orders(self, rng):
        x, y = clouds(rng, 40, 600, 3)
        made, cost = pair_streams("euclidean", x, y)
        log_b = rng.uniform(-690.0, 0.0, 600)
        g = rng.normal(size=600)
        for eps in (10.0, 0.1, 0.01):
            error = np.abs(made.softmin(g, log_b, eps) - softmin(cost, g, log_b, eps))
            assert error.max() <= noise(cost, g, log_b, eps)

    @pytest.mark.parametrize("name", NAMES)
    @pytest.mark.parametrize(("scale", "offset"), [(1e-9, 0.0), (1e9, 0.0), (1.0, 2.0**20), (1e-3, 1e3)])
    def test_scales_and_offsets(self, name, scale, offset, rng):
        x, y = (np.ldexp(np.round(z * 2.0**20), -20) * scale + offset for z in clouds(rng, 60, 300, 2))
        made, cost = pair_streams(name, x, y)
        g, log_b = rng.normal(size=300) * cost.max() / 4, masses(rng, 300)
        for eps in EPS * cost.max():
            error = np.abs(made.softmin(g, log_b, eps) - softmin(cost, g, log_b, eps))
            assert error.max() <= noise(cost, g, log_b, eps)

    @pytest.mark.parametrize("name", NAMES)
    def test_a_constant_goes_through(self, name, rng):
        made, cost = pair_streams(name, *clouds(rng, 30, 300, 2))
        g, log_b = rng.normal(size=300), masses(rng, 300)
        for shift in (-1e9, 7.0, 1e6):
            moved = made.softmin(g + shift, log_b, 0.1) + shift
            np.testing.assert_allclose(
                moved, made.softmin(g, log_b, 0.1), atol=noise(cost, g, log_b, 0.1) + 1e-15 * abs(shift)
            )

    @pytest.mark.parametrize("d", [2, 9])
    def test_any_number_of_threads(self, d, monkeypatch):
        rng = np.random.default_rng(d)
        made, cost = pair_streams("euclidean", *clouds(rng, 1500, 700, d))
        g, log_b = rng.normal(size=700) / 4, masses(rng, 700)
        for eps in (0.5, 1e-3):
            answers = []
            for cores in (1, 2, 7):
                monkeypatch.setattr(parallel, "_cores", lambda cores=cores: cores)
                answers.append(made.softmin(g, log_b, eps))
            for other in answers[1:]:
                # Not the same bits: four rows are worked at once, and the fused steps differ among them.
                np.testing.assert_allclose(other, answers[0], rtol=0, atol=noise(cost, g, log_b, eps))


class TestSums:
    @pytest.mark.parametrize("name", NAMES)
    @pytest.mark.parametrize("d", DIMENSIONS)
    def test_against_the_plan_written_out(self, name, d):
        rng = np.random.default_rng([d, NAMES.index(name), 1])
        for n, m in SIZES:
            made, cost = pair_streams(name, *clouds(rng, n, m, d))
            for eps in (np.inf, *(EPS * made.pairs.extent)):
                g, log_b = np.zeros(m), masses(rng, m)
                f = np.zeros(n) if eps == np.inf else softmin(cost, g, log_b, eps)
                logs = f / eps + masses(rng, n), g / eps + log_b
                plan = np.exp(logs[0][:, None] + logs[1] - cost / eps)
                found = made.plan_sums(*logs, eps)
                # Exponents in base 2 are known to float32 rounding of what they are made of.
                slack = 4 * FLOAT32_NOISE * (sum(np.ptp(log) for log in logs) + cost.max() / eps + 30)
                np.testing.assert_allclose(found.rows, plan.sum(axis=1), rtol=slack, atol=1e-37)
                np.testing.assert_allclose(found.cols, plan.sum(axis=0), rtol=slack, atol=1e-37)
                assert found.rows.sum() == pytest.approx(found.cols.sum(), rel=FACTOR)
                spent = (plan * cost).sum()
                assert abs(found.cost - spent) <= slack * spent + made.cost_error * plan.sum()

    @pytest.mark.parametrize("name", NAMES)
    @pytest.mark.parametrize(("d", "eps"), [(2, 1.0), (2, 1e-3), (9, 0.1)])
    def test_all_sums_are_of_one_plan(self, name, d, eps):
        rng = np.random.default_rng([3, d, NAMES.index(name)])
        made, cost = pair_streams(name, *clouds(rng, 40, 270, d))
        g, log_b = rng.normal(size=270) / 9, masses(rng, 270)
        logs = (softmin(cost, g, log_b, eps) / eps + masses(rng, 40), g / eps + log_b)
        plan = rebuilt(made, logs, eps)
        assert plan.min() >= 0 and uses_boxes(made, eps) == (eps == 1e-3)
        for by_row, by_col in (
            (None, None),
            (rng.random(40), None),
            (None, rng.random(270)),
            (rng.random(40) ** 9, rng.random(270) ** 9),
        ):
            found = made.plan_sums(*logs, eps, by_row, by_col)
            scaled = plan.copy()
            scaled *= 1.0 if by_row is None else by_row[:, None]
            scaled *= 1.0 if by_col is None else by_col
            np.testing.assert_allclose(found.rows, scaled.sum(axis=1), rtol=FACTOR)
            np.testing.assert_allclose(found.cols, scaled.sum(axis=0), rtol=FACTOR)
            assert abs(found.cost - (scaled * cost).sum()) <= made.cost_error * scaled.sum()

    def test_costs_in_the_callers_units(self, rng):
        x, y = clouds(rng, 50, 300, 3)
        for scale in (2.0**-40, 1.0, 2.0**40):
            for name in NAMES:
                made, cost = pair_streams(name, scale * x, scale * y)
                mean = made.plan_sums(masses(rng, 50), np.full(300, -np.log(300.0)), np.inf)
                assert abs(mean.cost - mean.rows @ cost.mean(axis=1)) <= made.cost_error
                assert made.cost_error <= 1e-4 * cost.max()

    def test_any_number_of_threads(self, rng, monkeypatch):
        made, _ = pair_streams("euclidean", *clouds(rng, 1500, 700, 2))
        logs = masses(rng, 1500), masses(rng, 700)
        for eps in (0.5, 1e-3):
            answers = []
            for cores in (1, 2, 7):
                monkeypatch.setattr(parallel, "_cores", lambda cores=cores: cores)
                answers.append(made.plan_sums(*logs, eps, np.linspace(0, 1, 1500), np.linspace(1, 0, 700)))
            for other in answers[1:]:
                np.testing.assert_array_equal(other.rows, answers[0].rows)
                np.testing.assert_allclose(other.cols, answers[0].cols, rtol=FACTOR)
                assert other.cost == pytest.approx(answers[0].cost, rel=FACTOR)

    @pytest.mark.parametrize("kind", ["points", "matrix"])
    def test_exponents_that_no_plan_has_leave_sums_finite(self, kind, rng):
        x, y = clouds(rng, 20, 300, 2)
        made, cost = pair_streams("euclidean", x, y)
        made = MatrixLogSumExp(MatrixCosts.of(cost)) if kind == "matrix" else made
        for size in (90.0, 1e3, 1e6, 1e12):
            found = made.plan_sums(rng.normal(size=20) * size, rng.normal(size=300) * size, 0.1)
            assert (found.rows >= 0).all() and (found.cols >= 0).all() and found.cost >= 0
            assert np.isfinite(found.rows).all() and np.isfinite(found.cols).all()
            assert found.rows.sum() == pytest.approx(found.cols.sum(), rel=FACTOR)


class TestMatrix:
    @pytest.mark.parametrize("shape", [(1, 1), (1, 300), (300, 5), (70, 129), (700, 900)])
    def test_against_float64(self, shape, rng, monkeypatch):
        monkeypatch.setattr(parallel, "_cores", lambda: 2)
        cost = rng.random(shape) * 10.0 ** rng.integers(-3, 4, shape)
        made = make_logsumexp(MatrixCosts.of(cost))
        assert isinstance(made, MatrixLogSumExp)
        for eps in EPS * cost.max():
            for table, flip in ((cost, False), (cost.T, True)):
                g, log_b = rng.normal(size=table.shape[1]), masses(rng, table.shape[1])
                error = np.abs(made.softmin(g, log_b, eps, flip) - softmin(table, g, log_b, eps))
                assert error.max() <= 2.0**-28 * noise(table, g, log_b, eps)
            f = softmin(cost, np.zeros(shape[1]), np.zeros(shape[1]), eps)
            by_row, by_col = rng.random(shape[0]), rng.random(shape[1])
            plan = np.exp((f[:, None] - cost) / eps) * by_row[:, None] * by_col
            found = made.plan_sums(f / eps, np.zeros(shape[1]), eps, by_row, by_col)
            np.testing.assert_allclose(found.rows, plan.sum(axis=1), rtol=1e-9)
            np.testing.assert_allclose(found.cols, plan.sum(axis=0), rtol=1e-9, atol=1e-300)
            assert found.cost == pytest.approx((plan * cost).sum(), rel=1e-9)
            assert found.rows.sum() == pytest.approx(found.cols.sum(), rel=FACTOR)

    def test_of_some_rows_and_columns_in_any_order(self, rng):
        cost = rng.random((90, 70))
        rows, cols = rng.permutation(90)[:50], rng.permutation(70)[:40]
        made, part = MatrixLogSumExp(MatrixCosts.of(cost).subset(rows, cols)), cost[rows][:, cols]
        for table, flip in ((part, False), (part.T, True)):
            g = rng.normal(size=table.shape[1])
            log_b = masses(rng, len(g))
            np.testing.assert_allclose(
                made.softmin(g, log_b, 0.1, flip), softmin(table, g, log_b, 0.1), rtol=1e-13, atol=1e-13
            )
        plan = np.exp(-part / 0.1)
        found = made.plan_sums(np.zeros(50), np.zeros(40), 0.1)
        np.testing.assert_allclose(found.rows, plan.sum(axis=1), rtol=1e-13)
        np.testing.assert_allclose(found.cols, plan.sum(axis=0), rtol=1e-13)

    @pytest.mark.parametrize("name", NAMES)
    def test_points_and_their_matrix_agree(self, name, rng):
        made, cost = pair_streams(name, *clouds(rng, 130, 600, 3))
        table = MatrixLogSumExp(MatrixCosts.of(cost))
        g, log_b, log_a = rng.normal(size=600) * cost.max() / 9, masses(rng, 600), masses(rng, 130)
        for eps in EPS * cost.max():
            f = table.softmin(g, log_b, eps)
            assert np.abs(made.softmin(g, log_b, eps) - f).max() <= noise(cost, g, log_b, eps)
            logs = f / eps + log_a, g / eps + log_b
            slack = 4 * FLOAT32_NOISE * (sum(np.ptp(log) for log in logs) + cost.max() / eps + 30)
            for one, other in zip(made.plan_sums(*logs, eps), table.plan_sums(*logs, eps), strict=True):
                np.testing.assert_allclose(one, other, rtol=slack, atol=1e-37)


@pytest.mark.slow
def test_powers_of_two():
    from numba import njit

    exp2 = njit(lambda t: logsumexp32_kernels.exp2(t))
    for t in np.float32(np.r_[np.linspace(-126, 127.49, 4001), -0.5, 0.5, np.arange(-126.0, 128.0)]):
        assert exp2(t) == pytest.approx(2.0 ** float(t), rel=2.5e-7)
