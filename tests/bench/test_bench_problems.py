"""Problems with known W1: each pair proves its W1 by a coupling and a potential with equal values."""

from __future__ import annotations

import math
import pickle
import subprocess
import sys
from importlib import resources

import numpy as np
import pytest
from cases import refused
from scipy import stats
from scipy.spatial.distance import cdist

import otdist
from otdist import closed
from otdist.bench import problems
from otdist.bench.problems.cones import PUBLISHED_COUNTS, PUBLISHED_DIMENSIONS
from otdist.bench.problems.funnels import Funnels, drop_hidden_cones

crossing = stats.rv_histogram(([4.0, 1.0, 1.0, 4.0, 2.0], [-2.0, -1.0, 0.0, 1.0, 2.0, 3.0]))()

PAIRS = {
    "w1bench-2-256": lambda: problems.w1bench(2, 256),
    "w1bench-8-16": lambda: problems.w1bench(8, 16),
    "w1bench-128-64": lambda: problems.w1bench(128, 64),
    "funnels-1": lambda: problems.funnels(1, 5, rng=1),
    "funnels-3": lambda: problems.funnels(3, 7, half_width=0.5, power=3, rng=2),
    "funnels-one": lambda: problems.funnels(20, 1, rng=3),
    "shift": lambda: problems.shift([1.0, -2.0, 2.0]),
    "shift-base": lambda: problems.shift([0.3, 0.0], base=lambda n, rng: rng.exponential(size=(n, 2))),
    "radial-1": lambda: problems.radial(1),
    "radial-16": lambda: problems.radial(16),
    "radial-crossing": lambda: problems.radial(4, stats.uniform(1, 2), stats.gamma(2)),
    "cylinder": lambda: problems.cylinder(12, 4, rotation=5),
    "cylinder-line": lambda: problems.cylinder(3, 1, stats.expon(), stats.expon(scale=0.25)),
    "ridge": lambda: problems.ridge(np.arange(1.0, 9.0)),
    "ridge-laws": lambda: problems.ridge([0.0, -3.0], stats.norm(0, 1), stats.norm(0.5, 3)),
    "min-max-2": lambda: problems.min_max(2, 16, rng=7),
    "min-max-24": lambda: problems.min_max(24, 6, half_width=1.0, power=4, rng=8),
    "line": lambda: problems.laws_1d(stats.norm(0, 1), stats.norm(1, 1)),
    "line-crossing": lambda: problems.laws_1d(stats.norm(0.3, 1), crossing),
    "line-heavy": lambda: problems.laws_1d(stats.t(2.5), stats.laplace(0.2, 2)),
}
pairs_by_name: dict[str, problems.Pair] = {}


@pytest.fixture(params=PAIRS)
def pair(request):
    if request.param not in pairs_by_name:
        pairs_by_name[request.param] = PAIRS[request.param]()
    return pairs_by_name[request.param]


def compute_norms(steps):
    return np.sqrt((steps**2).sum(axis=1))


def draw_surrounding_points(pair):
    """Draw points inside and outside of the supports of both distributions."""
    rng = np.random.default_rng(11)
    x, y = pair.sample(2000, rng=rng)
    both = np.concatenate([x, y])
    low, high = both.min(axis=0), both.max(axis=0)
    outside = rng.uniform(low - 0.5 * (high - low), high + 0.5 * (high - low), (2000, pair.d))
    return np.concatenate([both[::2], outside])


class TestOptimality:
    def test_the_coupling_costs_w1(self, pair):
        x, y = pair.sample_coupling(20_000, rng=1)
        distances = compute_norms(x - y)
        error = math.hypot(distances.std(ddof=1) / math.sqrt(20_000), pair.w1_error)
        assert pair.w1 > 0 and error < 0.05 * pair.w1  # a wide error would test nothing
        assert abs(distances.mean() - pair.w1) <= 4 * error + 1e-12 * pair.w1

    def test_the_potential_falls_by_the_distance_along_the_coupling(self, pair):
        """With the Lipschitz constant below, primal and dual values are equal: both are optimal."""
        x, y = pair.sample_coupling(20_000, rng=2)
        scale = np.abs(np.concatenate([x, y])).max()
        drop = pair.potential(x) - pair.potential(y)
        np.testing.assert_allclose(drop, compute_norms(x - y), rtol=0, atol=1e-13 * scale * math.sqrt(pair.d))

    def test_the_potential_is_1_lipschitz(self, pair):
        rng = np.random.default_rng(3)
        z = draw_surrounding_points(pair)
        scale = np.abs(z).max() * math.sqrt(pair.d)
        near = z + rng.normal(size=z.shape) * 0.01 * scale / pair.d
        for other in (z[rng.permutation(len(z))], near):
            rise = np.abs(pair.potential(z) - pair.potential(other))
            assert (rise <= compute_norms(z - other) + 1e-13 * scale).all()

    def test_independent_samples_see_the_same_difference_of_means(self, pair):
        x, y = pair.sample(20_000, 15_000, rng=4)
        fx, fy = pair.potential(x), pair.potential(y)
        error = math.sqrt(fx.var(ddof=1) / len(x) + fy.var(ddof=1) / len(y))
        assert abs(fx.mean() - fy.mean() - pair.w1) <= 4 * math.hypot(error, pair.w1_error)

    def test_an_exact_solver_finds_the_coupling_of_coupled_samples(self, pair):
        x, y = pair.sample_coupling(200, rng=5)
        result = otdist.w1(x, y)
        assert result.value == pytest.approx(compute_norms(x - y).mean(), rel=1e-9)


class TestGradient:
    def test_it_is_the_derivative_of_the_potential(self, pair):
        rng = np.random.default_rng(6)
        z = draw_surrounding_points(pair)
        step = 1e-6 * np.abs(z).max()
        direction = rng.normal(size=z.shape)
        direction *= step / compute_norms(direction)[:, None]
        ahead, behind = z + direction, z - direction
        difference = (pair.potential(ahead) - pair.potential(behind)) / (2 * step)
        expected = (pair.gradient(z) * direction).sum(axis=1) / step
        # Across a kink there is no derivative; near a tip it turns within the step.
        smooth = compute_norms(pair.gradient(ahead) - pair.gradient(behind)) < 1e-3
        assert smooth.mean() > 0.7
        np.testing.assert_allclose(difference[smooth], expected[smooth], rtol=0, atol=1e-6)

    def test_it_has_length_1(self, pair):
        slopes = compute_norms(pair.gradient(draw_surrounding_points(pair)))
        assert (np.abs(slopes - 1) < 1e-14 * math.sqrt(pair.d) + 4e-16)[slopes != 0].all()
        assert (slopes != 0).mean() > 0.99

    def test_it_points_from_y_to_x(self, pair):
        x, y = pair.sample_coupling(2000, rng=7)
        steps = x - y
        apart = compute_norms(steps) > 1e-6 * np.abs(y).max()
        cosines = (pair.gradient(y) * steps).sum(axis=1)[apart] / compute_norms(steps)[apart]
        # Outside of kinks; ties of float64 put a few points on the other side of one.
        assert (np.abs(cosines - 1) < 1e-9).mean() > 0.999

    def test_it_is_exact_next_to_a_tip_and_0_on_it(self):
        pair = problems.w1bench(128, 4)
        (tip, *_), _ = pair._distributions.tips, pair._distributions.offsets
        step = np.zeros(128)
        step[[0, 3]] = 2.0**-40, -(2.0**-40)
        slope = pair.gradient([tip, tip + step])
        np.testing.assert_array_equal(slope[0], 0)
        np.testing.assert_allclose(
            slope[1], -step / np.linalg.norm(step), atol=1e-3
        )  # as exact as tip + step


class TestSampling:
    def test_coupled_and_independent_samples_have_the_same_laws(self, pair):
        rng = np.random.default_rng(8)
        direction = rng.normal(size=pair.d)
        for one, other in zip(pair.sample_coupling(5000, rng), pair.sample(5000, rng=rng), strict=True):
            for feature in (lambda z: z @ direction, compute_norms, pair.potential):
                assert stats.ks_2samp(feature(one), feature(other)).pvalue > 1e-4

    def test_a_permutation_test_does_not_tell_them_apart(self):
        pair = problems.min_max(2, 4, rng=0)
        for one, other in zip(pair.sample_coupling(60, rng=1), pair.sample(60, rng=2), strict=True):
            assert otdist.stats.permutation_test(one, other, n_resamples=99, rng=3).pvalue > 0.01

    def test_float32_samples_are_finite_and_follow_the_same_law(self, pair):
        x, y = pair.sample(20_000, rng=9, dtype=np.float32)
        assert x.dtype == y.dtype == np.float32 and np.isfinite(x).all() and np.isfinite(y).all()
        rng = np.random.default_rng(10)
        direction = rng.normal(size=pair.d)
        for single, double in zip((x, y), pair.sample(20_000, rng=rng), strict=True):
            double = double.astype(np.float32)  # P in one column lives closer to the tips than float32 sees
            for feature in (lambda z: z @ direction, compute_norms, pair.potential):
                one, other = (feature(z.astype(float)) for z in (single, double))
                assert stats.ks_2samp(one, other).pvalue > 1e-4

    @pytest.mark.slow
    @pytest.mark.parametrize(("d", "n"), [(2, 4), (16, 256), (128, 16)])
    def test_many_float32_samples_of_funnels_are_finite_and_inside(self, d, n):
        pair = problems.w1bench(d, n)
        rng = np.random.default_rng(11)
        for _ in range(2):
            x, y = pair.sample(2**22 // d, rng=rng, dtype=np.float32)
            assert np.isfinite(x).all() and np.abs(x).max() <= 2.5 * (1 + 1e-6)
            assert np.isfinite(y).all() and np.abs(y).max() <= 2.5

    @pytest.mark.parametrize("dtype", [np.float32, np.float64])
    @pytest.mark.parametrize("d", [2, 32])
    def test_points_on_tips_walls_and_corners_stay_finite_and_inside(self, d, dtype):
        distributions = problems.w1bench(d, 16)._distributions
        tips = distributions.tips.astype(dtype)
        walls = tips.copy()
        walls[:, 0] = 2.5
        corners = np.where(tips > 0, 2.5, -2.5).astype(dtype)
        middles = (tips[:-1] + tips[1:]) / 2
        special = np.concatenate([tips, walls, -walls, corners, middles, np.zeros((1, d), dtype)])
        moved = distributions._transport(special)
        assert np.isfinite(moved).all() and np.abs(moved).max() <= 2.5 * (1 + 1e-6)
        np.testing.assert_array_equal(moved[: len(tips)], tips)
        np.testing.assert_allclose(moved[16:32], walls, rtol=0, atol=1e-5 if dtype == np.float32 else 1e-13)

    @pytest.mark.parametrize("d", [2, 8, 128])
    def test_float32_moves_points_to_the_same_places(self, d):
        distributions = problems.w1bench(d, 256)._distributions
        y = distributions.sample_q(2000, np.random.default_rng(12), np.dtype(np.float32))
        np.testing.assert_allclose(
            distributions._transport(y), distributions._transport(y.astype(float)), rtol=0, atol=1e-4
        )

    def test_the_same_seed_gives_the_same_bytes(self, pair):
        for dtype in (np.float32, np.float64):
            one, two = (pair.sample(50, 40, rng=13, dtype=dtype) for _ in range(2))
            assert [z.tobytes() for z in one] == [z.tobytes() for z in two]
            assert one[0].shape == (50, pair.d) and one[1].shape == (40, pair.d)
            other = pair.sample(50, rng=14, dtype=dtype)[0]
            assert other.tobytes() != one[0].tobytes()
        one, two = (pair.sample_coupling(50, rng=13) for _ in range(2))
        assert [z.tobytes() for z in one] == [z.tobytes() for z in two]

    def test_a_generator_moves_on(self):
        rng = np.random.default_rng(0)
        pair = problems.shift([1.0])
        assert (pair.sample(5, rng=rng)[0] != pair.sample(5, rng=rng)[0]).all()

    def test_x_and_y_are_independent(self, pair):
        x, y = pair.sample(20_000, rng=15)
        correlation = np.corrcoef(pair.potential(x), pair.potential(y))[0, 1]
        assert abs(correlation) < 5 / math.sqrt(20_000)


def compute_published_rays(tips, offsets, y, half):
    """Compute tip and length of each ray directly, by the published construction."""
    heights = cdist(y, tips) + offsets
    nearest = heights.argmin(axis=1)
    out = []
    for point, n, u in zip(y, nearest, heights.min(axis=1), strict=True):
        radius = np.linalg.norm(point - tips[n])
        v = (point - tips[n]) / radius
        ends = [((np.sign(v) * half - point) / v).min()]
        for m in range(len(tips)):
            delta, beta = point - tips[m], u - offsets[m]
            fall = 2 * (beta - delta @ v)
            if m != n and fall != 0:
                r = (delta @ delta - beta**2) / fall
                ends += [r] if r > 0 and r > -beta else []
        out.append(radius + min(ends))
    return nearest, np.array(out)


class TestFunnels:
    @pytest.mark.slow
    @pytest.mark.parametrize(("d", "n"), [(2, 4), (2, 64), (2, 256), (8, 16), (128, 64)])
    def test_rays_are_those_of_the_published_construction(self, d, n):
        with (
            resources.files("otdist").joinpath("bench/data/w1bench.npz").open("rb") as file,
            np.load(file) as data,
        ):
            tips, offsets = (data[f"d{d}_n{n}_{part}"].astype(float) for part in ("centers", "bias"))
        distributions = problems.w1bench(d, n)._distributions
        y = np.random.default_rng(0).uniform(-2.5, 2.5, (300, d))
        nearest, expected = compute_published_rays(tips, offsets, y, 2.5)
        tip_indices, positions = distributions._tables64.find_rays(y)
        np.testing.assert_array_equal(distributions.tips[tip_indices], tips[nearest])
        np.testing.assert_allclose(compute_norms(y - tips[nearest]) / positions, expected, rtol=1e-9)

    @pytest.mark.parametrize("n", PUBLISHED_COUNTS)
    @pytest.mark.parametrize("d", PUBLISHED_DIMENSIONS)
    def test_the_shipped_truth_is_recomputed(self, d, n):
        pair = problems.w1bench(d, n)
        again, error = pair._distributions.estimate_w1(np.random.default_rng([d, n]))
        assert 0 < pair.w1_error < 0.005 * pair.w1
        assert abs(again - pair.w1) <= 4 * math.hypot(error, pair.w1_error)

    def test_the_truth_of_one_funnel_in_the_middle_of_a_square(self):
        distributions = Funnels(np.zeros((1, 2)), np.zeros(1), half_width=1.0, power=8.0)
        mean, error = distributions.estimate_mean_ray(2**16, np.random.default_rng(0))
        # Rays end at the walls: R = 1 / cos(angle), and the angle of a uniform y has a density like R^2.
        angles = np.linspace(0, np.pi / 4, 100_001)
        radius = 1 / np.cos(angles)
        expected = np.trapezoid(radius**3, angles) / np.trapezoid(radius**2, angles)
        assert abs(mean - expected) <= 4 * error < 0.01

    def test_cones_that_lie_above_others_change_nothing(self):
        rng = np.random.default_rng(1)
        tips, offsets = rng.uniform(-1, 1, (60, 2)), rng.normal(0, 0.3, 60)
        tips, offsets = np.concatenate([tips, tips[:3]]), np.concatenate([offsets, offsets[:3]])
        kept = drop_hidden_cones(tips, offsets)
        assert 1 < len(kept[0]) < 40
        z = rng.uniform(-2, 2, (1000, 2))
        for u, v in zip(*[(cdist(z, t) + b).min(axis=1) for t, b in ((tips, offsets), kept)], strict=True):
            assert u == v
        steps = cdist(kept[0], kept[0]) - np.abs(kept[1][:, None] - kept[1])
        assert (steps[~np.eye(len(steps), dtype=bool)] > 0).all()

    def test_the_truth_follows_the_scale(self):
        small, large = (problems.funnels(3, 6, half_width=h, rng=2) for h in (1.0, 1000.0))
        assert large.w1 == pytest.approx(1000 * small.w1, rel=1e-9)
        assert large.w1_error == pytest.approx(1000 * small.w1_error, rel=1e-6)

    def test_seeds_give_the_pair_and_its_truth(self):
        one, two, other = (problems.funnels(4, 8, rng=seed) for seed in (3, 3, 4))
        assert one.w1 == two.w1 != other.w1
        np.testing.assert_array_equal(one.potential(np.eye(4)), two.potential(np.eye(4)))


class TestMinMax:
    @pytest.mark.parametrize("d", [1, 2, 10, 100])
    def test_both_functions_are_the_potential_where_they_should(self, d):
        distributions = problems.min_max(d, 5, rng=d)._distributions
        rng = np.random.default_rng(0)
        for side, sign in ((distributions.left, -1), (distributions.right, 1)):
            z = rng.uniform(-1, 1, (2000, d)) * side.half_width
            z[:1000] = np.sign(z[:1000]) * side.half_width  # corners, where the functions are extreme
            u = -side.potential(z)
            assert side.minimum <= u.min() and u.max() <= side.upper_bound
            z[:, 0] += sign * distributions.centre_offset
            expected = -u if sign < 0 else u + distributions.potential_offset
            np.testing.assert_allclose(distributions.potential(z), expected, rtol=1e-12, atol=1e-12)

    def test_no_cube_reaches_the_other(self):
        x, y = problems.min_max(2, 4, rng=0).sample_coupling(1000, rng=0)
        assert (np.sign(x[:, 0]) == np.sign(y[:, 0])).all() and 300 < (x[:, 0] > 0).sum() < 700


class TestLines:
    def test_the_potential_turns_wherever_the_distribution_functions_cross(self):
        pair = problems.ridge([1.0], teeth=7)
        knots = pair._distributions.line.piecewise_potential.knots
        np.testing.assert_allclose(knots, 2.0 * np.arange(1, 7) - 7, atol=1e-9)

    def test_the_comb_is_what_the_quadrature_says(self):
        pair = problems.ridge([1.0], teeth=5)
        result = closed.laws(pair._distributions.line.mu, pair._distributions.line.nu, rtol=1e-3)
        assert result.lower <= pair.w1 <= result.upper and pair.w1_error == 0

    def test_one_law_above_the_other_needs_no_knot(self):
        pair = problems.laws_1d(stats.norm(0, 1), stats.norm(2, 1))
        assert pair.w1 == pytest.approx(2, rel=1e-6)
        np.testing.assert_allclose(pair.gradient([[-50.0], [0.0], [50.0]])[:, 0], -1)

    @pytest.mark.slow
    @pytest.mark.parametrize("seed", [0, 1, 2])
    def test_random_histograms_that_cross_many_times(self, seed):
        rng = np.random.default_rng(seed)
        edges = np.sort(rng.uniform(-3, 3, 21))
        mu, nu = (stats.rv_histogram((rng.uniform(0.1, 1, 20), edges), density=True)() for _ in range(2))
        pair = problems.laws_1d(mu, nu)
        x, y = pair.sample_coupling(5000, rng=seed)
        np.testing.assert_allclose(pair.potential(x) - pair.potential(y), compute_norms(x - y), atol=1e-12)
        assert pair.w1 == pytest.approx(
            compute_norms(x - y).mean(), abs=4 * compute_norms(x - y).std() / math.sqrt(5000)
        )

    @pytest.mark.slow
    def test_normal_radii(self):
        """N(0, I) and N(0, 9/4 I): half the mean of the chi distribution."""
        for d in (1, 3, 50):
            expected = math.exp(math.lgamma((d + 1) / 2) - math.lgamma(d / 2)) * math.sqrt(2) / 2
            pair = problems.radial(d)
            assert abs(pair.w1 - expected) <= pair.w1_error + 1e-9 and pair.w1_error < 1e-5

    @pytest.mark.slow
    def test_a_rotation_turns_the_subspace_and_changes_no_distance(self):
        plain, turned = problems.cylinder(6, 2), problems.cylinder(6, 2, rotation=1)
        assert plain.w1 == turned.w1 == problems.radial(2).w1
        basis = turned._distributions.basis
        np.testing.assert_allclose(basis @ basis.T, np.eye(6), atol=1e-14)
        z = np.random.default_rng(0).normal(size=(20, 6))
        np.testing.assert_allclose(turned.potential(z @ basis.T), plain.potential(z), atol=1e-13)
        np.testing.assert_allclose(turned.gradient(z @ basis.T), plain.gradient(z) @ basis.T, atol=1e-13)


class TestEstimators:
    @pytest.mark.slow
    @pytest.mark.parametrize("name", ["line", "line-crossing", "w1bench-2-256", "min-max-2", "ridge-laws"])
    def test_w1_of_samples_lies_between_the_dual_and_the_triangle_inequality(self, name):
        pair = PAIRS[name]()
        n = 2000
        (x, y), (again_x, again_y) = (pair.sample(n, rng=seed) for seed in (0, 1))
        result = otdist.w1(x, y)
        assert result.upper >= pair.potential(x).mean() - pair.potential(y).mean()
        # W1(P_n, P) is on average at most W1 between two samples of P.
        noise = otdist.w1(x, again_x).value + otdist.w1(y, again_y).value
        assert abs(result.value - pair.w1) <= noise

    def test_the_truth_scores_best(self, pair):
        best = problems.scores(pair, pair.potential, pair.gradient, rng=0)
        assert best.cosine == pytest.approx(1, abs=1e-12) and best.squared_l2 == pytest.approx(0, abs=1e-12)
        error = math.hypot(best.estimate_error, pair.w1_error)
        assert abs(best.estimate - pair.w1) <= 4 * error
        assert best.deviation == pytest.approx(abs(best.estimate - pair.w1) / pair.w1)
        assert best.undefined < 0.05 * 4096

    @pytest.mark.parametrize(("factor", "squared"), [(2.0, 1.0), (-1.0, 4.0), (0.5, 0.25)])
    def test_multiples_of_the_truth(self, factor, squared):
        pair = problems.radial(8)
        scores = problems.scores(
            pair, lambda z: factor * pair.potential(z), lambda z: factor * pair.gradient(z), 1
        )
        assert scores.cosine == pytest.approx(math.copysign(1, factor), abs=1e-12)
        assert scores.squared_l2 == pytest.approx(squared, abs=1e-12)
        assert scores.estimate / pair.w1 == pytest.approx(factor, abs=0.1 * abs(factor))
        assert scores.overstates == (factor > 1)

    def test_a_constant_critic(self):
        pair = problems.shift([1.0, 1.0])
        scores = problems.scores(pair, lambda z: np.ones(len(z)), np.zeros_like, rng=1, n=100)
        assert (scores.cosine, scores.squared_l2, scores.deviation, scores.overstates) == (
            0,
            pytest.approx(1),
            1,
            False,
        )
        assert scores.estimate == 0 == scores.estimate_error

    @pytest.mark.slow
    def test_the_error_of_the_estimate_is_that_of_repetitions(self):
        pair = problems.funnels(4, 4, rng=0)
        runs = [problems.scores(pair, pair.potential, pair.gradient, seed, n=200) for seed in range(200)]
        spread_of_runs = np.std([run.estimate for run in runs], ddof=1)
        assert np.mean([run.estimate_error for run in runs]) == pytest.approx(spread_of_runs, rel=0.2)
        assert sum(run.overstates for run in runs) <= 3

    def test_tips_are_counted_and_left_out(self):
        pair = problems.funnels(1, 4, rng=0)
        best = problems.scores(pair, pair.potential, pair.gradient, rng=0)
        assert best.undefined > 0 and best.cosine == pytest.approx(1)

    def test_tensors_are_read(self):
        torch = pytest.importorskip("torch")
        pair = problems.shift([1.0, 0.0])
        scores = problems.scores(pair, lambda z: -torch.as_tensor(z)[:, 0], pair.gradient, rng=0)
        assert scores.estimate == pytest.approx(1, abs=4 * scores.estimate_error)


class TestRefusals:
    @pytest.mark.parametrize(("d", "n"), [(3, 4), (2, 5), (0, 4), (2.0, 4), (True, 4), ("2", 4), (2, None)])
    def test_unpublished_pairs(self, d, n):
        refused(problems.w1bench, "n" if d == 2 and type(d) is int else "d", d, n)

    @pytest.mark.parametrize("make", [problems.funnels, problems.min_max])
    def test_families_of_funnels(self, make):
        refused(make, "d", 0, 4)
        refused(make, "n", 2, 1.5)
        for half in (0, -1, math.inf, math.nan, 1e12, "wide"):
            refused(make, "half_width", 2, 4, half_width=half)
        for power in (1, 0.5, -8, math.inf):
            refused(make, "power", 2, 4, power=power)
        refused(make, "rng", 2, 4, rng="seed")

    def test_shift(self):
        for v in ([0.0, 0.0], [], [math.nan], [[1.0]], [1e308, 1e308, 1e308, 1e308], "far"):
            refused(problems.shift, "v", v)
        for base in (lambda n, rng: np.ones((n, 3)), lambda n, rng: np.full((n, 2), math.inf)):
            refused(problems.shift([1.0, 1.0], base=base).sample, "base", 5)

    def test_laws_on_the_line(self):
        good = stats.norm(0, 1)
        for bad in ([0.0, 1.0], stats.poisson(3), stats.norm, 1.0, None, stats.norm(0, -1)):
            refused(problems.laws_1d, "mu", bad, good)
            refused(problems.laws_1d, "nu", good, bad)
        refused(problems.laws_1d, "mu, nu", stats.cauchy(), good)
        refused(problems.laws_1d, "nu", good, stats.norm(0, 1))

    @pytest.mark.slow
    def test_laws_that_cross_too_finely(self):
        refused(problems.ridge, "mu, nu", [1.0], teeth=20_000)

    def test_lifted_laws(self):
        refused(problems.radial, "d", 0)
        refused(problems.cylinder, "d", -1, 1)
        refused(problems.cylinder, "k", 3, 4)
        refused(problems.cylinder, "k", 3, 0)
        refused(problems.cylinder, "rng", 3, 2, rotation=-1)
        refused(problems.radial, "mu", 3, stats.norm(1, 1), stats.expon())
        refused(problems.radial, "nu", 3, stats.expon(), stats.uniform(-0.5, 2))
        refused(problems.radial, "nu", 3, stats.expon())
        refused(problems.ridge, "mu", [1.0], None, stats.expon())
        refused(problems.ridge, "w", [0.0, 0.0])
        refused(problems.ridge, "w", [math.inf])
        refused(problems.ridge, "teeth", [1.0], teeth=0)

    def test_samples(self):
        pair = problems.shift([1.0, 0.0])
        for n in (0, -1, 1.5, True, None, "many"):
            refused(pair.sample, "n", n)
            refused(pair.sample_coupling, "n", n)
        refused(pair.sample, "m", 3, 0)
        refused(pair.sample, "rng", 3, rng=-1)
        for dtype in (np.float16, int, "words"):
            refused(pair.sample, "dtype", 3, dtype=dtype)

    def test_points(self, pair):
        for function in (pair.potential, pair.gradient):
            refused(function, "z", np.zeros((3, pair.d + 1)))
            refused(function, "z", np.zeros(pair.d))
            refused(function, "z", np.full((3, pair.d), math.nan), says=("row 0",))
        assert pair.potential(np.zeros((0, pair.d))).shape == (0,)
        assert pair.gradient(np.zeros((0, pair.d))).shape == (0, pair.d)

    def test_scores(self):
        pair = problems.shift([1.0, 0.0])
        for value in (lambda z: z, lambda z: 0.0, lambda z: np.full(len(z), math.nan)):
            refused(problems.scores, "value", pair, value, pair.gradient, 0)
        for gradient in (lambda z: z[:, 0], lambda z: z[:5], lambda z: np.full(z.shape, math.inf)):
            refused(problems.scores, "gradient", pair, pair.potential, gradient, 0)
        refused(problems.scores, "n", pair, pair.potential, pair.gradient, 0, 1)
        refused(problems.scores, "rng", pair, pair.potential, pair.gradient, "x")


class TestHouse:
    @pytest.mark.slow
    def test_pairs_survive_pickling(self):
        for pair in (
            problems.funnels(2, 3, rng=0),
            problems.cylinder(4, 2, rotation=0),
            problems.min_max(2, 3, rng=0),
        ):
            again = pickle.loads(pickle.dumps(pair))
            assert again.w1 == pair.w1 and again.name == pair.name
            assert again.sample(5, rng=1)[0].tobytes() == pair.sample(5, rng=1)[0].tobytes()

    def test_the_text_of_a_pair_does_not_compute_its_truth(self):
        pair = problems.funnels(2, 3, rng=0)
        assert repr(pair) == "Pair(funnels, n=3, d=2)" and "_w1_and_error" not in vars(pair)

    @pytest.mark.slow
    def test_otdist_does_not_load_the_problems_and_they_do_not_load_torch(self):
        code = (
            "import sys, otdist; assert 'otdist.bench' not in sys.modules;"
            "import otdist.bench.problems; assert 'torch' not in sys.modules"
        )
        subprocess.run([sys.executable, "-c", code], check=True)

    def test_data_come_with_their_licence_and_without_pickles(self):
        home = resources.files("otdist").joinpath("bench/data")
        assert "Korotin" in home.joinpath("LICENSE-w1bench.md").read_text()
        with home.joinpath("w1bench.npz").open("rb") as file, np.load(file, allow_pickle=False) as data:
            assert len(data.files) == 3 * 28 and all(np.isfinite(data[key]).all() for key in data.files)
