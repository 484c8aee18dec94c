"""Proved intervals against exact rational arithmetic, on data that float64 finds hard.

Costs and clusters over many orders of magnitude, weights over fifteen, ties, duplicates and forbidden
pairs: whatever a solver answers, its interval holds the exact distance, and ``converged`` means a gap of
at most 1e-9.
"""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import rational

import otdist

GAP = 1e-9
COSTS = {"euclidean": rational.euclidean_costs, "cityblock": rational.cityblock_costs,
         "chebyshev": rational.chebyshev_costs}  # fmt: skip
WEIGHTS = {
    "none": lambda rng, n: None,
    "counts": lambda rng, n: rng.integers(1, 6, n).astype(float),
    "shares": lambda rng, n: rng.random(n) + 0.01,
    "orders": lambda rng, n: 10.0 ** rng.uniform(-15, 0, n),
    "decimals": lambda rng, n: rng.choice([0.1, 0.2, 0.3, 1 / 3], n),
}
POINTS = {
    "normal": lambda rng, n, d: rng.normal(size=(n, d)),
    "grid": lambda rng, n, d: rng.integers(-2, 3, (n, d)).astype(float),
    "clusters": lambda rng, n, d: (
        rng.integers(0, 3, (n, 1)) + 10.0 ** rng.uniform(-13, -1) * rng.normal(size=(n, d))
    ),
    "orders": lambda rng, n, d: 10.0 ** rng.uniform(-13, 0, (n, 1)) * rng.normal(size=(n, d)),
    "signs": lambda rng, n, d: rng.choice([-1, 1], (n, d)) * 10.0 ** rng.uniform(-13, 0, (n, d)),
}
MATRICES = {
    "random": lambda rng, shape: rng.random(shape),
    "integers": lambda rng, shape: rng.integers(0, 4, shape).astype(float),
    "orders": lambda rng, shape: 10.0 ** rng.uniform(-13, 0, shape),
    "all orders": lambda rng, shape: 10.0 ** rng.uniform(-200, 200, shape),
    "forbidden": lambda rng, shape: np.where(
        rng.random(shape) < 0.4,
        rng.choice([1e32, 1e300, np.finfo(float).max]),
        rng.random(shape) * 10.0 ** rng.uniform(-15, 0),
    ),
    "blocks": lambda rng, shape: np.where(
        rng.random(shape) < 0.5, 1 + rng.random(shape), 1e-14 * (1 + 0.1 * rng.random(shape))
    ),
}


def draw_weights(rng, n, m):
    """Weights of both sides; often the same in another order."""
    draw = WEIGHTS[rng.choice(list(WEIGHTS))]
    a, b = draw(rng, n), WEIGHTS[rng.choice(list(WEIGHTS))](rng, m)
    return (a, rng.permutation(a)) if a is not None and n == m and rng.random() < 0.4 else (a, b)


def draw_sizes(rng):
    n, m = rng.integers(1, 8, 2)
    return (n, n) if rng.random() < 0.4 else (n, m)


def masses(w, n):
    return np.ones(n) if w is None else w


def check(solve, cost, a, b, **power):
    """Hold the answer against the exact optimum."""
    truth = rational.transport(cost, masses(a, len(cost)), masses(b, len(cost[0])))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", otdist.ConvergenceWarning)
        result = solve()
    assert result.lower <= float(result) <= result.upper
    assert rational.contains(result, truth, **power), (result.lower, result.upper, float(truth))
    assert result.gap <= GAP if result.converged else result.message
    return result


def check_points(rng, method):
    n, m = draw_sizes(rng)
    d, p = int(rng.integers(1, 4)), float(rng.choice([1, 1.5, 2, 3, 6, 10]))
    kind, metric = rng.choice(list(POINTS)), str(rng.choice(list(COSTS)))
    x, y = POINTS[kind](rng, n, d), POINTS[kind](rng, m, d)
    if rng.random() < 0.2:
        y[: min(n, m)] = x[: min(n, m)]
    if rng.random() < 0.2 and n == m:
        y = x[rng.permutation(n)] + 1e-13 * rng.normal(size=(n, d))
    a, b = draw_weights(rng, n, m)
    if n == m == 1:
        a, b = np.ones(1), np.ones(1)
    cost = COSTS[metric](x, y, p)
    check(lambda: otdist.wasserstein(x, y, a, b, p=p, metric=metric, method=method), cost, a, b, p=p)


def check_matrix(rng, method):
    n, m = draw_sizes(rng)
    cost = MATRICES[rng.choice(list(MATRICES))](rng, (n, m))
    a, b = draw_weights(rng, n, m)
    check(lambda: otdist.emd(cost, a, b, method=method), cost.tolist(), a, b)


@pytest.mark.slow
@pytest.mark.parametrize("method", ["auto", "dense", "sparse"])
def test_intervals_of_points_hold_the_exact_distance(rng, method):
    for _ in range(40):
        check_points(rng, method)


@pytest.mark.parametrize("method", ["dense", "sparse"])
def test_intervals_of_matrices_hold_the_exact_optimum(rng, method):
    for _ in range(40):
        check_matrix(rng, method)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("method", ["auto", "dense", "sparse"])
def test_thousands_of_intervals_hold_the_exact_distance(seed, method):
    rng = np.random.default_rng(seed)
    for _ in range(300):
        check_points(rng, method)
        check_matrix(rng, "dense" if method == "auto" else method)


class TestSmallComponents:
    """What is small beside the extent of the data is solved at its own scale."""

    @pytest.mark.parametrize("method", ["auto", "dense", "sparse"])
    def test_four_points_of_two_clusters(self, method):
        x, y = [-0.0004, 0.0, 0.9998, 0.9998], [0.0001, -0.0002, 1.0003, 1.0]
        on_line = otdist.wasserstein(x, y, p=6)
        in_plane = otdist.wasserstein(np.c_[x, np.zeros(4)], np.c_[y, np.zeros(4)], p=6, method=method)
        assert on_line.value == pytest.approx(0.00039739445990939, rel=1e-13)
        assert in_plane.value == pytest.approx(on_line.value, rel=1e-13)
        assert in_plane.converged and in_plane.gap < 1e-13

    @pytest.mark.parametrize("method", ["dense", "sparse"])
    @pytest.mark.parametrize(
        ("p", "spread"), [(1, 1e-13), (2, 1e-9), (3, 1e-6), (6, 1e-9), (10, 1e-2), (10, 1e-9)]
    )
    def test_clusters_cost_what_each_costs_alone(self, rng, method, p, spread):
        centres = np.c_[[0.0, 1.0, 2.0], np.zeros(3)]
        samples = [centres[:, None] + spread * rng.normal(size=(3, 30, 2)) for _ in range(2)]
        whole = otdist.wasserstein(*(z.reshape(90, 2) for z in samples), p=p, method=method)
        parts = [otdist.wasserstein(u, v, p=p).value for u, v in zip(*samples, strict=True)]
        assert whole.converged
        assert whole.value == pytest.approx(np.mean(np.power(parts, p)) ** (1 / p), rel=1e-9)

    @pytest.mark.parametrize("method", ["dense", "sparse"])
    def test_crossing_mass_and_small_costs_count_alike(self, method):
        # 1e-12 of the mass travels 1, all the rest 1e-12.
        x = np.array([[0.0, 0.0], [1.0, 0.0]])
        a, b = np.array([2.0**40, 1.0]), np.array([2.0**40 - 1, 2.0])
        y = x + np.array([0.0, 2.0**-40])
        r = otdist.w1(x, y, a, b, method=method)
        cost = rational.euclidean_costs(x, y, 1)
        assert rational.contains(r, rational.transport(cost, a, b)) and r.converged

    @pytest.mark.parametrize("method", ["dense", "sparse"])
    @pytest.mark.parametrize("forbidden", [1e32, 1e300, np.finfo(float).max])
    def test_forbidden_pairs_leave_the_digits_of_the_others(self, rng, method, forbidden):
        cost = rng.random((6, 6)) * 1e-9
        cost[rng.random((6, 6)) < 0.3] = forbidden
        np.fill_diagonal(cost, rng.random(6) * 1e-9)
        r = check(lambda: otdist.emd(cost, method=method), cost.tolist(), None, None)
        assert r.converged
        far = otdist.emd([[1e-10, forbidden], [forbidden, 1e-10]], method=method)
        assert far.value == pytest.approx(1e-10, rel=1e-15) and far.converged

    def test_a_forbidden_pair_that_must_be_used_is_paid(self):
        assert otdist.emd([[1e-10, 1e300], [2e-10, 1e300]]).value == pytest.approx(5e299, rel=1e-12)
        most = np.finfo(float).max
        r = otdist.emd([[most, most]], [1.0], [0.5, 0.5])
        assert r.value == most and r.lower <= most <= r.upper


class TestWeights:
    """What rounding does to weights is part of the interval."""

    first, second = [0.1, 0.2, 0.3], [0.3, 0.1, 0.2]

    @pytest.mark.parametrize("method", ["dense", "sparse"])
    @pytest.mark.parametrize(
        ("x", "y"),
        [
            ([[0, 0], [0, 0], [1, 0]], [[0, 0], [1, 0], [1, 0]]),
            ([[0, 0], [0, 0], [1, 0]], [[0, 1e-18], [1, 1e-18], [1, 1e-18]]),
            ([[0, 0], [1e-9, 0], [1, 0]], [[0, 1e-18], [1, 1e-18], [1 - 1e-9, 1e-18]]),
        ],
    )
    def test_one_multiset_on_both_sides(self, method, x, y):
        cost = rational.euclidean_costs(x, y, 1)
        solve = lambda: otdist.w1(x, y, self.first, self.second, method=method)  # noqa: E731
        check(solve, cost, self.first, self.second)

    def test_what_merging_rounds_is_proved(self):
        x, y = [[0, 0], [0, 0], [1, 0]], [[0, 0], [1, 0], [1, 0]]
        r = otdist.w1(x, y, self.first, self.second)
        assert r.value == pytest.approx(4.6259292692714855e-17, rel=1e-12) and r.converged

    def test_clusters_with_noise_and_permuted_weights(self, rng):
        for _ in range(20):
            w = rng.choice([0.1, 0.2, 0.3, 0.7], 6)
            x = np.c_[np.repeat([0.0, 1.0], 3) + 1e-12 * rng.normal(size=6), np.zeros(6)]
            y = x + 1e-12 * rng.normal(size=(6, 2))
            v = rng.permutation(w)
            check(lambda x=x, y=y, w=w, v=v: otdist.w1(x, y, w, v), rational.euclidean_costs(x, y, 1), w, v)


@pytest.mark.parametrize("p", [1.5, 3.0, 6.0, 10.0, 20.0])
@pytest.mark.parametrize("exponent", [-60, -20, 0, 30, 60])
def test_roots_of_one_pair_are_rounded_outwards(p, exponent):
    for d in (1, 2):
        x, y = np.zeros((1, d)), np.full((1, d), 2.0**exponent)
        r = otdist.wasserstein(x, y, [1], [1], p=p)
        assert rational.contains(r, rational.euclidean_costs(x, y, p)[0][0], p=p)
