"""First derivatives where ground costs have kinks: finite, and the element that the theory page names."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import otdist
from otdist import metrics
from otdist.metrics.names import resolve

BOX = 8.0

# Gradients of distances in x, by hand: 0 at kinks, shared where several columns are largest.


def euclidean(x, y):
    difference = x - y
    length = np.linalg.norm(difference)
    return difference / length if length else difference


def cityblock(x, y):
    return np.sign(x - y)


def chebyshev(x, y):
    gaps = np.abs(x - y)
    largest = (gaps == gaps.max()) & (gaps > 0)
    return np.sign(x - y) * largest / max(largest.sum(), 1)


def minkowski(x, y, power=1.5):
    gaps = np.abs(x - y)
    length = (gaps**power).sum() ** (1 / power)
    return np.sign(x - y) * (gaps / length) ** (power - 1) if length else 0 * x


def periodic(x, y):
    """Minus the shortest way from x to y; a column that is half a box apart does not decide on a side."""
    ways = (x - y + BOX / 2) % BOX - BOX / 2
    length = np.linalg.norm(ways)
    return np.where(np.abs(ways) == BOX / 2, 0.0, ways) / length if length else 0 * x


def angular(x, y):
    u, v = x / np.linalg.norm(x), y / np.linalg.norm(y)
    tangent = u * (u @ v) - v
    length = np.linalg.norm(tangent)
    return tangent / length / np.linalg.norm(x) if length > 1e-12 else 0 * x


def cosine(x, y):
    u, v = x / np.linalg.norm(x), y / np.linalg.norm(y)
    return (u * (u @ v) - v) / np.linalg.norm(x)


METRICS = {
    "euclidean": ("euclidean", euclidean),
    "sqeuclidean": ("sqeuclidean", lambda x, y: 2 * (x - y)),
    "cityblock": ("cityblock", cityblock),
    "chebyshev": ("chebyshev", chebyshev),
    "minkowski": (metrics.minkowski(1.5), minkowski),
    "periodic": (metrics.periodic(BOX), periodic),
    "angular": ("angular", angular),
    "cosine": ("cosine", cosine),
    "mixed": (metrics.mixed([1.0, 2.0, 4.0]), lambda x, y: np.sign(x - y) / np.array([3.0, 6.0, 12.0])),
}


@pytest.mark.parametrize("p", [1, 2])
@pytest.mark.parametrize("name", METRICS)
def test_gradient_on_a_lattice(name, p):
    metric, by_hand = METRICS[name]
    rng = np.random.default_rng(len(name))
    for _ in range(4):
        x, y = rng.integers(1, 8, size=(6, 3)).astype(float), rng.integers(1, 8, size=(5, 3)).astype(float)
        y[0], y[1, :2], y[2], y[3] = x[0], x[1, :2], 8 - x[2], -x[3]
        a, b = rng.uniform(0.5, 1.5, size=6), rng.uniform(0.5, 1.5, size=5)
        points = [torch.tensor(side, requires_grad=True) for side in (x, y)]
        r = otdist.wasserstein(*points, a, b, p=p, metric=metric)
        r.value.backward()
        expected = [np.zeros_like(side) for side in (x, y)]
        matrix = resolve(metric).matrix(x, y)
        for i, j, mass in zip(*r.plan.coords, r.plan.data, strict=True):
            factor = mass * matrix[i, j] ** (p - 1) * float(r) ** (1 - p)
            expected[0][i] += factor * by_hand(x[i], y[j])
            expected[1][j] += factor * by_hand(y[j], x[i])
        for t, side in zip(points, expected, strict=True):
            np.testing.assert_allclose(t.grad.numpy(), side, rtol=1e-9, atol=1e-12)


@pytest.mark.filterwarnings("ignore::otdist.ConvergenceWarning")  # of intervals around 0
@pytest.mark.parametrize("name", METRICS)
@given(
    st.lists(st.integers(-4, 4), min_size=3, max_size=3), st.lists(st.integers(-4, 4), min_size=3, max_size=3)
)
def test_gradient_lies_between_one_sided_differences(name, u, v):
    metric = METRICS[name][0]
    if name in ("angular", "cosine") and not (any(u) and any(v)):
        return
    x, y = np.array([u], dtype=float), np.array([v], dtype=float)

    def distance(x):
        return float(resolve(metric).pairs(np, x, y)[0])

    t = torch.tensor(x, requires_grad=True)
    otdist.w1(t, y, [1.0], [1.0], metric=metric).value.backward()
    assert torch.isfinite(t.grad).all()
    middle, step = distance(x), 1e-6
    for k in range(3):
        e = step * np.eye(3)[k]
        ends = (distance(x + e) - middle) / step, (middle - distance(x - e)) / step
        assert min(ends) - 1e-4 <= float(t.grad[0, k]) <= max(ends) + 1e-4


@pytest.mark.parametrize("f", [otdist.w1, otdist.sinkhorn_divergence])
def test_a_periodic_box_with_pairs_that_agree_in_two_columns(f):
    x = torch.tensor([[0.0, 0, 0], [1, 2, 3]], dtype=torch.float64, requires_grad=True)
    y = torch.tensor([[0.0, 0, 1], [1, 2, 3.5]], dtype=torch.float64)
    r = f(x, y, metric=metrics.periodic([10.0, 10.0, 10.0]))
    assert float(r) == pytest.approx(0.75, rel=1e-6)
    r.value.backward()
    expected = torch.tensor([[0, 0, -0.5], [0, 0, -0.5]], dtype=torch.float64)
    torch.testing.assert_close(x.grad, expected, rtol=0, atol=1e-6)


@given(st.lists(st.floats(-10, 10), min_size=1, max_size=4), st.floats(0.01, 100))
def test_opposite_directions(u, s):
    x = np.array([u])
    length = float(np.linalg.norm(x))
    if length < 1e-3:
        return
    t = torch.tensor(x, requires_grad=True)
    otdist.w1(t, -s * x, [1.0], [1.0], metric="angular").value.backward()
    assert torch.isfinite(t.grad).all()
    assert float(t.grad.norm()) <= (1 + 1e-9) / length
    assert abs(float((t.grad * t.detach()).sum())) < 1e-9


def test_the_gradient_is_0_at_opposite_directions_and_right_beside_them():
    x = torch.tensor([[1.0, 2.0]], dtype=torch.float64, requires_grad=True)
    otdist.w1(x, -x.detach(), [1.0], [1.0], metric="angular").value.backward()
    assert x.grad.tolist() == [[0.0, 0.0]]
    for turn in (1e-3, 1e-6, 1e-9):
        x = torch.tensor([[2.0, 0.0]], dtype=torch.float64, requires_grad=True)
        otdist.w1(x, [[-1.0, turn]], [1.0], [1.0], metric="angular").value.backward()
        np.testing.assert_allclose(x.grad.numpy(), [[0.0, -0.5]], atol=1e-6)


@pytest.mark.parametrize("gap", [1e-170, 1e-300])
def test_pairs_whose_squares_underflow(gap):
    x = torch.tensor([[gap, 0.0], [1.0, 1.5]], dtype=torch.float64, requires_grad=True)
    otdist.w1(x, [[0.0, 0.0], [1.0, 1.0]]).value.backward()
    np.testing.assert_allclose(x.grad.numpy(), [[0.5, 0.0], [0.0, 0.5]])


@pytest.mark.parametrize("p", [1, 2, 3])
@pytest.mark.parametrize("scale", [1e-307, 1e-200, 1e200, 1e308])
def test_extreme_scales_have_the_gradient_of_ordinary_ones(scale, p, rng):
    x, y = rng.uniform(0, 0.7, size=(4, 2)), rng.uniform(0, 0.7, size=(3, 2))
    found = {}
    for s in (1.0, scale):
        points, line = (torch.tensor(x * s, requires_grad=True) for _ in range(2))
        otdist.wasserstein(points, y * s, p=p).value.backward()
        otdist.wasserstein_1d(line.T, (y * s).T, p=p).sum().backward()
        found[s] = points.grad, line.grad
    for mine, theirs in zip(found[scale], found[1.0], strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-9, atol=1e-12)


def test_a_large_order_of_a_small_distance():
    x = torch.tensor([[0.0], [1.0]], dtype=torch.float64, requires_grad=True)
    value = otdist.wasserstein(x, [[1e-4], [1.0]], p=100).value
    value.backward()
    expected = -(0.5 ** (1 / 100))
    np.testing.assert_allclose(x.grad.numpy(), [[expected], [0.0]], rtol=1e-9)


def test_labels_alone_have_the_gradient_0():
    labels = metrics.mixed([1.0, 1.0, 1.0], categorical=[True, True, True])
    for f in (otdist.w1, otdist.sinkhorn_divergence):
        x = torch.tensor([[0.0, 1, 2], [1, 1, 1]], dtype=torch.float64, requires_grad=True)
        f(x, [[0.0, 1, 1], [2, 2, 1]], metric=labels).value.backward()
        assert torch.equal(x.grad, torch.zeros_like(x))


def test_missing_values_on_the_line():
    x = torch.tensor([0.0, np.nan, 3.0], dtype=torch.float64, requires_grad=True)
    value = otdist.wasserstein_1d(x, [1.0, 2.0], nan_policy="omit")
    value.backward()
    assert value.item() == 1.0
    assert x.grad.tolist() == [-0.5, 0.0, 0.5]


def test_without_grad_mode_nothing_is_asked_of_the_metric():
    x, a = torch.zeros((2, 2), requires_grad=True), torch.ones(2, requires_grad=True)
    for mode in (torch.no_grad, torch.inference_mode):
        with mode():
            value = otdist.w1(x, torch.ones((3, 2)), a, metric=lambda u, v: float(abs(u - v).sum())).value
            assert value.item() == 2.0 and not value.requires_grad
            assert otdist.wasserstein_1d([1.0, 2.0], [1.0, 3.0], a) == 0.5
