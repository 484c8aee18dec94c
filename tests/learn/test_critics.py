"""Critics that are 1-Lipschitz by construction: against search, autograd, SVD and chance."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from networks import own_generator  # noqa: F401  a fixture
from numpy.testing import assert_allclose
from scipy.linalg import hadamard
from scipy.spatial.distance import cdist
from scipy.special import logsumexp

import otdist
from otdist.errors import InputError
from otdist.learn import Anchors, Folds, Orthogonal, Pieces, Subspace
from otdist.learn.critics.ascent import (
    Ascent,
    orthogonalise,
    project_to_tangent,
    steps_between_retractions,
)
from otdist.learn.critics.families.cones import MIN_SQUARED_DISTANCE, Cones, soft_max_cones
from otdist.learn.critics.families.landmarks import Landmarks
from otdist.learn.critics.families.orthogonal import bound_spectral_norm, retract_orthogonal
from otdist.learn.critics.families.subspace import find_differing_directions
from otdist.learn.critics.families.triangle_wave import TriangleWave, triangle_wave
from otdist.learn.critics.feature_map import FeatureMap
from otdist.learn.critics.fitted import ExactScaling, Fitted
from otdist.learn.critics.samples import Samples, split_rows
from otdist.learn.critics.training import Training
from otdist.metrics import Metric
from otdist.metrics.names import resolve
from otdist.metrics.tables import make_gower

pytestmark = pytest.mark.usefixtures("own_generator")

D, K, STEPS = 3, 12, 40
PAIRS = 100_000
CANBERRA = Metric(
    "canberra",
    lambda x, y: cdist(x, y, "canberra"),
    lambda xp, x, y: (abs(x - y) / (abs(x) + abs(y))).sum(-1),
    triangle=True,
)
NORMS = ["euclidean", "cityblock", "chebyshev"]
ORIENTATIONS = ["max", "min", "both"]
CASES = [
    *(("anchors", metric, orientation) for metric in NORMS for orientation in ORIENTATIONS),
    *(
        ("landmarks", metric, orientation)
        for metric, orientation in zip(["angular", "gower", "canberra"], ORIENTATIONS, strict=True)
    ),
    *(("orthogonal", "euclidean", way) for way in ("abs", "maxmin", "groupsort", "wave", "tips", "pits")),
    ("folds", "euclidean", "max"),
    ("folds", "euclidean", "min"),
    ("pieces", "euclidean", "max"),
    ("subspace", "euclidean", "both"),
]


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def ground(name, points):
    return {"gower": lambda: make_gower(points, points), "canberra": lambda: CANBERRA}.get(
        name, lambda: resolve(name)
    )()


def module_of(kind, metric, way, features):
    """A critic; ``features`` are points that it starts at."""
    start = features[:K].float()
    if kind == "anchors":
        return Anchors(start, orientation=way, metric=metric)
    if kind == "landmarks":
        return Landmarks(features.shape[1], orientation=way)
    if kind == "subspace":
        basis = torch.linalg.qr(torch.randn(features.shape[1], 2, generator=seeded()))[0].T
        return Subspace(basis, Anchors(start @ basis.T, orientation=way))
    if kind == "folds":
        return Folds(start, orientation=way, generator=seeded())
    if kind == "pieces":
        return Pieces(start, members=6, generator=seeded())
    options = {"activation": way}
    if way in ("tips", "pits"):
        options = {"activation": "wave", "heads": 5, "orientation": {"tips": "max", "pits": "min"}[way]}
    module = Orthogonal(features.shape[1], width=16, depth=3, generator=seeded(), **options)
    if module.head.ndim > 1 or way == "wave":
        module.initialise(features[::2].float(), features[1::2].float() - 1, seeded())
    return module


def setting(metric_name, rng):
    """Two samples and their feature map."""
    x = np.array([1, 2, 0.5]) * rng.normal(size=(300, D))
    y = np.array([1.5, 0, -1]) + rng.normal(size=(300, D))
    metric = ground(metric_name, np.concatenate([x, y]))
    return x, y, metric, FeatureMap.of(x, y, metric, torch.device("cpu"), 0, K)


def trained(kind, way, metric_name, rng, steps):
    """A critic after some steps, ready for the caller's points."""
    x, y, metric, feature_map = setting(metric_name, rng)
    at_x, at_y = feature_map.transform(x), feature_map.transform(y)
    one = Training("test", module_of(kind, metric_name, way, feature_map.transform_exact(x)), rate=0.05)
    signs = torch.cat([torch.full((64,), 1 / 64), torch.full((64,), -1 / 64)])
    generator = seeded(1)
    for step in range(steps):
        rows = torch.randint(300, (2, 64), generator=generator)
        assert one.step(torch.cat([at_x[rows[0]], at_y[rows[1]]]), signs, step / steps, False)
    return Fitted.of("test", one.module, feature_map, ExactScaling(None, 0, 1), math.nan), metric, x, y


def rowwise(metric, z, w):
    """Distances row by row."""
    return metric.pairs(np, z, w)


def steepest(critic, metric, z, w):
    """Largest ``|f(z) - f(w)| / d(z, w)``, less what rounding of f and d may add."""
    f, g = critic.values(z), critic.values(w)
    size = max(np.abs(f).max(), np.abs(g).max(), np.abs(z).max(), critic.feature_map.unit)
    unsure = 0.0 if metric.error is None else metric.error(z, w)
    change = np.abs(f - g) - 256 * 2.0**-53 * size - 2 * unsure
    d = rowwise(metric, z, w) + 256 * 2.0**-53 * size
    return float((change / d).max())


def climbed(critic, z, w):
    """Pairs moved up the gradient of the ratio: the search that a proof has to withstand."""
    z, w = (torch.tensor(part, requires_grad=True) for part in (z, w))
    search = torch.optim.Adam([z, w], lr=0.02)
    order = {"euclidean": 2, "cityblock": 1, "chebyshev": math.inf}[critic.feature_map.metric.name]
    for _ in range(30):
        search.zero_grad()
        f, g = (
            critic._evaluate((part - torch.as_tensor(critic.feature_map.centre)) / critic.feature_map.unit)
            for part in (z, w)
        )
        ratio = (f - g).abs() / torch.linalg.vector_norm(z - w, ord=order, dim=1).clamp_min(1e-3)
        (-ratio.sum()).backward()
        search.step()
    return z.detach().numpy(), w.detach().numpy()


class TestTheConstantHolds:
    @pytest.mark.slow
    @pytest.mark.parametrize("steps", [0, STEPS])
    @pytest.mark.parametrize(("kind", "metric", "way"), CASES, ids=["-".join(case) for case in CASES])
    def test_on_random_pairs_and_on_the_steepest_that_are_found(self, kind, metric, way, steps, rng):
        critic, metric, x, y = trained(kind, way, metric, rng, steps)
        size = PAIRS if steps else PAIRS // 10
        z, w = (np.exp(rng.uniform(-3, 3, size=(size, 1))) * rng.normal(size=(size, D)) for _ in range(2))
        assert 0 < steepest(critic, metric, z, w) <= 1 + 1e-9
        # Samples on both sides, close pairs, pairs far away, and pairs on lines through the anchors.
        assert steepest(critic, metric, x, y) <= 1 + 1e-9
        z, w = z[:5000], w[:5000]
        for step in (1e-2, 1e-5, 1e-9):
            assert steepest(critic, metric, z, z + step * rng.normal(size=z.shape)) <= 1 + 1e-9
        assert steepest(critic, metric, 1e6 * z, 1e6 * w) <= 1 + 1e-9
        if kind == "anchors":
            tips = critic.module.anchors.numpy() * critic.feature_map.unit + critic.feature_map.centre
            ray = rng.normal(size=(K, D))
            assert steepest(critic, metric, tips + 0.1 * ray, tips - 0.2 * ray) <= 1 + 1e-9
            assert steepest(critic, metric, tips, tips + ray) <= 1 + 1e-9
        if critic.feature_map.uses_points:
            slope = critic.gradient(x)
            for step in (1e-3, 1e-6):
                assert steepest(critic, metric, x, x + step * slope) <= 1 + 1e-9
            assert steepest(critic, metric, *climbed(critic, x, y)) <= 1 + 1e-9

    @pytest.mark.parametrize(("kind", "metric", "way"), CASES, ids=["-".join(case) for case in CASES])
    def test_and_is_nearly_reached_after_training(self, kind, metric, way, rng):
        # A critic that is flat would pass all of the above.
        critic, metric, x, y = trained(kind, way, metric, rng, STEPS)
        z = np.concatenate([x, y])
        near = z + 1e-2 * rng.normal(size=z.shape)
        slopes = np.abs(critic.values(z) - critic.values(near)) / rowwise(metric, z, near)
        assert slopes.max() > (0.8 if kind != "landmarks" else 0.3)

    @pytest.mark.parametrize("activation", ["abs", "wave", "maxmin", "groupsort"])
    def test_weights_out_of_bounds_are_divided_by_their_constant(self, activation, rng):
        _, _, metric, feature_map = setting("euclidean", rng)
        module = Orthogonal(D, width=16, depth=3, activation=activation, generator=seeded())
        with torch.no_grad():
            for weight in module.weights:
                weight *= 3
        assert module.lipschitz() == pytest.approx(27, rel=1e-5)
        critic = Fitted.of("test", module, feature_map, ExactScaling(None, 0, 1), math.nan)
        assert critic.constant == pytest.approx(27, rel=1e-5)
        z = rng.normal(size=(20_000, D))
        assert steepest(critic, metric, z, z + 1e-4 * rng.normal(size=z.shape)) <= 1 + 1e-9
        raw = module.double()(feature_map.transform_exact(z)).detach().numpy() * feature_map.unit
        assert_allclose(critic.values(z), raw / critic.constant, rtol=1e-12, atol=1e-12)

    @pytest.mark.parametrize("factor", [1.0, 0.3, 5.0])
    def test_constants_against_singular_values_and_norms(self, factor, rng):
        for d, width in [(1, 8), (3, 16), (24, 16)]:
            module = Orthogonal(d, width=width, depth=2, generator=seeded(d))
            with torch.no_grad():
                for p in module.parameters():
                    p += factor * torch.randn(p.shape, generator=seeded(1))
            arrays = [p.detach().numpy().astype(float) for p in (*module.weights, module.head[None])]
            expected = math.prod(np.linalg.svd(w, compute_uv=False)[0] for w in arrays)
            assert expected * (1 - 1e-14) <= module.lipschitz() <= expected * (1 + 1e-10)
        module = module_of("orthogonal", "euclidean", "tips", torch.randn(40, D, generator=seeded()))
        with torch.no_grad():
            module.head += factor * torch.randn(module.head.shape, generator=seeded(1))
        longest = float(module.head.detach().double().norm(dim=1).max())
        assert module.lipschitz() == pytest.approx(longest, rel=1e-5)
        pieces = Pieces(torch.randn(5, D, generator=seeded()), members=4, generator=seeded())
        with torch.no_grad():
            pieces.slopes += factor * torch.randn(pieces.slopes.shape, generator=seeded(2))
        expected = np.linalg.norm(pieces.slopes.detach().numpy().astype(float), axis=-1).max()
        assert expected * (1 - 1e-14) <= pieces.lipschitz() <= expected * (1 + 1e-10)

    def test_what_cannot_be_made_is_refused(self):
        start = torch.zeros(4, 2)
        for make, name in [
            (lambda: Anchors(start, orientation="up"), "orientation"),
            (lambda: Anchors(start, metric="angular"), "metric"),
            (lambda: Anchors(start, tau=0.0), "tau"),
            (lambda: Anchors(start[:1], orientation="both"), "anchors"),
            (lambda: Pieces(start, members=0), "members"),
            (lambda: Folds(start[0]), "start"),
            (lambda: Folds(start, orientation="both"), "orientation"),
            (lambda: Folds(start, tau=0.0), "tau"),
            (lambda: Subspace(start, Anchors(start)), "basis"),
            (lambda: Orthogonal(2, width=7, activation="maxmin"), "width"),
            (lambda: Orthogonal(2, width=12, activation="groupsort"), "width"),
            (lambda: Orthogonal(2, activation="relu"), "activation"),
            (lambda: Orthogonal(2, heads=0), "heads"),
            (lambda: Orthogonal(2, heads=2, orientation="both"), "orientation"),
        ]:
            with pytest.raises(InputError) as caught:
                make()
            assert caught.value.argument == name


class TestCones:
    @pytest.mark.parametrize("tau", [1e-2, 0.3])
    def test_the_written_gradient_is_that_of_autograd(self, tau):
        rng = seeded()
        parts = [torch.randn(*shape, generator=rng) for shape in ((40, D), (K, D), (K,))]
        upstream = torch.randn(40, generator=rng)
        answers = []
        for function in (Cones.apply, lambda *given: soft_max_cones(*given, 2.0)):
            given = [part.clone().requires_grad_() for part in parts]
            value = function(*given, tau)
            answers.append([value.detach(), *torch.autograd.grad(value @ upstream, given)])
        for found, expected in zip(*answers, strict=True):
            torch.testing.assert_close(found, expected, rtol=2e-4, atol=2e-5)

    @pytest.mark.parametrize("metric", NORMS)
    def test_values_are_those_of_the_formula(self, metric, rng):
        z, points, offsets, tau = rng.normal(size=(9, D)), rng.normal(size=(6, D)), rng.normal(size=6), 0.3
        d = cdist(z, points, metric)
        high = tau * logsumexp((offsets - d) / tau, axis=1)
        low = -tau * logsumexp(-(offsets + d) / tau, axis=1)
        part_high = tau * logsumexp((offsets - d)[:, :3] / tau, axis=1)
        part_low = -tau * logsumexp(-(offsets + d)[:, 3:] / tau, axis=1)
        both = -tau * np.logaddexp(-part_high / tau, -part_low / tau)
        for orientation, expected in (("max", high), ("min", low), ("both", both)):
            module = Anchors(torch.as_tensor(points), orientation=orientation, metric=metric, tau=tau)
            with torch.no_grad():
                module.offsets.copy_(torch.as_tensor(offsets))
                assert_allclose(module(torch.as_tensor(z)), expected, rtol=1e-12, atol=1e-12)

    @pytest.mark.parametrize(
        ("kind", "way"), [("anchors", "max"), ("folds", "min"), ("pieces", "max"), ("orthogonal", "wave")]
    )
    def test_it_is_refused_a_second_time(self, kind, way):
        # Not only where the upstream gradient requires one: a gradient penalty begins with ones.
        module = module_of(kind, "euclidean", way, torch.randn(K, D))
        z = torch.randn(4, D, requires_grad=True)
        with pytest.raises(RuntimeError, match="explicit"):
            torch.autograd.grad(module(z).sum(), z, create_graph=True)
        with pytest.raises(RuntimeError, match="explicit"):
            torch.autograd.grad(module(z) @ torch.ones(4, requires_grad=True), z, create_graph=True)

    def test_a_huge_range_of_scores_stays_finite_and_keeps_its_top(self):
        z, anchors = torch.randn(6, D), torch.randn(K, D)
        offsets = torch.linspace(-1e4, 1e4, K)
        given = [part.clone().requires_grad_() for part in (z, anchors, offsets)]
        value = Cones.apply(*given, 1e-2)
        slopes = torch.autograd.grad(value.sum(), given)
        assert all(torch.isfinite(part).all() for part in (value, *slopes))
        top = offsets[-1] - (z - anchors[-1]).norm(dim=1)
        torch.testing.assert_close(value.detach(), top, rtol=1e-6, atol=0.0)
        assert slopes[2][-1] == pytest.approx(6, rel=1e-6)

    def test_a_point_on_its_anchor_has_no_direction_there(self):
        z = torch.zeros(1, D, requires_grad=True)
        value = Cones.apply(z, torch.zeros(1, D), torch.ones(1), 0.1)
        (slope,) = torch.autograd.grad(value.sum(), z)
        assert value.item() == pytest.approx(1 - math.sqrt(MIN_SQUARED_DISTANCE), rel=1e-6)
        assert not slope.any()


class TestNetworks:
    @pytest.mark.parametrize("wave", [triangle_wave, TriangleWave.apply])
    def test_a_wave_falls_through_0_and_turns_after_a_quarter_period(self, wave):
        x = torch.tensor([0.0, 0.5, 1.0, 1.5, 3.0, 4.0, -0.5, -1.0, 41.0], dtype=torch.float64)
        values = wave(x, torch.tensor(4.0))
        assert values.tolist() == [0.0, -0.5, -1.0, -0.5, 1.0, 0.0, 0.5, 1.0, -1.0]

    def test_its_written_gradient_is_that_of_autograd(self):
        x = 5 * torch.randn(400, generator=seeded())
        upstream, slopes = torch.randn(400, generator=seeded(1)), []
        for wave in (triangle_wave, TriangleWave.apply):
            at = x.clone().requires_grad_()
            slopes.append(torch.autograd.grad(wave(at, torch.tensor(1.3)) @ upstream, at)[0])
        torch.testing.assert_close(*slopes)
        assert torch.equal(slopes[1].abs(), upstream.abs())

    @pytest.mark.parametrize("activation", ["abs", "wave"])
    def test_after_settling_units_have_points_on_both_sides(self, activation):
        module = Orthogonal(D, width=64, depth=3, activation=activation, generator=seeded())
        points = 0.1 * torch.randn(2, 500, D, generator=seeded(1)) + 30
        module.initialise(*points, seeded(2))
        z = points.flatten(0, 1)
        with torch.no_grad():
            for layer in range(3):
                before = module._linear(z, layer)
                share = (before > 0).float().mean(0)
                assert ((share > 0) & (share < 1)).float().mean() > 0.95
                z = module._activate(before, layer)

    @pytest.mark.parametrize("orientation", ["max", "min"])
    def test_heads_point_to_the_groups_of_one_sample(self, orientation):
        tips = torch.tensor([[6.0, 0.0, 0.0], [0.0, 6.0, 0.0], [0.0, 0.0, 6.0]])
        near = tips[torch.arange(300) % 3] + 0.1 * torch.randn(300, D, generator=seeded())
        far = torch.randn(300, D, generator=seeded(1))
        module = Orthogonal(D, width=32, depth=1, heads=3, orientation=orientation, generator=seeded())
        x, y = (near, far) if orientation == "max" else (far, near)
        module.initialise(x, y, seeded(2))
        with torch.no_grad():
            assert module(x).mean() - module(y).mean() > 1
            best = (module.features(near) @ module.head.T * (1 if orientation == "max" else -1)).argmax(1)
        groups = [set(best[k::3].tolist()) for k in range(3)]
        assert all(len(group) == 1 for group in groups) and len(set.union(*groups)) == 3
        torch.testing.assert_close(module.head.detach().norm(dim=1), torch.ones(3))

    def test_two_samples_that_are_one_leave_the_heads(self):
        z = torch.zeros(30, D)
        module = Orthogonal(D, width=8, depth=2, activation="wave", heads=4, generator=seeded())
        module.initialise(z, z, seeded())
        assert all(torch.isfinite(p).all() for p in module.state_dict().values())
        assert module.lipschitz() == pytest.approx(1, abs=1e-5)


class TestLipschitzBound:
    """The bound from Gram matrices, against singular values in float64."""

    @pytest.mark.parametrize("shape", [(1, 1), (3, 40), (40, 3), (64, 64), (192, 192), (192, 700)])
    @pytest.mark.parametrize("noise", [0.0, 1e-7, 1e-4, 0.3])
    def test_it_is_never_below_the_largest_singular_value(self, shape, noise):
        rng = seeded()
        weight = torch.nn.init.orthogonal_(torch.empty(shape), generator=rng)
        weight = weight * (1 + noise) + noise * torch.randn(shape, generator=rng)
        largest = np.linalg.svd(weight.numpy().astype(float), compute_uv=False)[0]
        bound = float(bound_spectral_norm(weight))
        assert largest <= bound <= largest + 1e-5 + 20 * noise * shape[0]

    @pytest.mark.parametrize(("d", "width"), [(2, 128), (64, 192), (784, 192), (64, 256)])
    @pytest.mark.parametrize("heads", [1, 5])
    def test_it_is_close_after_a_retraction(self, d, width, heads):
        rng = seeded()
        module = Orthogonal(d, width=width, heads=heads, generator=rng)
        with torch.no_grad():
            for weight in module.weights:
                weight.add_(0.02 * width**-0.5 * torch.randn(weight.shape, generator=rng))
        assert module.lipschitz() <= float(module.lipschitz_bound())
        module.retract()
        bound = module.lipschitz_bound()
        assert bound.shape == () and bound.dtype == torch.float64
        assert module.lipschitz() <= float(bound) <= module.lipschitz() + 1e-5

    def test_values_that_are_not_finite_have_no_bound(self):
        weight = torch.eye(3)
        weight[1, 1] = torch.nan
        assert bound_spectral_norm(weight).isnan()


class TestSteps:
    @pytest.mark.parametrize("shape", [(16, 3), (16, 16), (8, 24)])
    def test_a_turn_is_tangent_and_of_one_size_in_all_planes(self, shape):
        rng = seeded()
        weight = torch.nn.init.orthogonal_(torch.empty(shape), generator=rng)
        way = project_to_tangent(weight, torch.randn(shape, generator=rng))
        across = weight.T @ way if shape[0] >= shape[1] else way @ weight.T
        torch.testing.assert_close(across, -across.T, atol=1e-5, rtol=0.0)
        before, after = (torch.linalg.svdvals(part) for part in (way, orthogonalise(way)))
        inside = before > 0.05 * before.max()  # a skew matrix of odd size has a singular value 0
        assert after[inside].min() > 0.5 and after.max() < 1.3
        assert not orthogonalise(torch.zeros(shape)).any()

    @pytest.mark.parametrize("rate", [1e-3, 0.005, 0.02])
    @pytest.mark.parametrize("shape", [(16, 16), (64, 8), (8, 64)])
    def test_a_retraction_repairs_the_steps_before_it(self, rate, shape):
        rng = seeded()
        module = Orthogonal(shape[1], width=shape[0], depth=1, generator=rng)
        ascent, weight = Ascent(module, rate), module.weights[0]
        gradient = torch.randn(shape, generator=rng)  # the same one in each step, the worst case
        for _ in range(steps_between_retractions(ascent)):
            weight.grad = gradient.clone()
            ascent.step()
            module.retract_rectangular()
        module.retract()
        assert np.abs(np.linalg.svd(weight.detach().double(), compute_uv=False) - 1).max() < 1e-5

    @pytest.mark.parametrize("shape", [(16, 3), (16, 16), (8, 24)])
    def test_weights_stay_orthogonal(self, shape):
        rng = seeded()
        module = Orthogonal(shape[1], width=shape[0], depth=2, generator=rng)
        ascent = Ascent(module, 0.01)
        for _ in range(60):
            ascent.zero_grad()
            module(torch.randn(64, shape[1], generator=rng)).square().mean().backward()
            ascent.step()
            module.retract()
        for weight in module.weights:
            values = np.linalg.svd(weight.detach().numpy().astype(float), compute_uv=False)
            assert_allclose(values, 1, atol=1e-5)
        assert float(module.head.detach().norm()) == pytest.approx(1, abs=1e-6)

    def test_a_disturbed_matrix_goes_to_the_nearest_orthogonal_one(self):
        rng = seeded()
        u, _, v = torch.linalg.svd(torch.randn(16, 6, generator=rng), full_matrices=False)
        # An error e becomes 1.5 e^2 in a round: of 0.02 there remain 6e-7 after two.
        weight = u @ torch.diag(1 + torch.linspace(-0.02, 0.02, 6)) @ v
        torch.testing.assert_close(retract_orthogonal(weight), u @ v, atol=2e-6, rtol=0.0)
        torch.testing.assert_close(retract_orthogonal(weight.T), (u @ v).T, atol=2e-6, rtol=0.0)

    @pytest.mark.parametrize("rate", [1.0, 1e3, 1e8])
    @pytest.mark.parametrize("kind", ["orthogonal", "folds", "pieces", "anchors"])
    def test_very_large_steps_leave_numbers(self, kind, rate, rng):
        module = module_of(kind, "euclidean", {"orthogonal": "abs"}.get(kind, "max"), torch.randn(K, D))
        ascent, generator = Ascent(module, rate), seeded(3)
        for _ in range(20):
            ascent.zero_grad()
            signs = torch.cat([torch.ones(32), -torch.ones(32)])
            (module(torch.randn(64, D, generator=generator)) @ signs).backward()
            ascent.step()
            module.retract()
            assert all(torch.isfinite(p).all() for p in module.parameters())
        assert module.lipschitz() <= 1 + 1e-5


class TestFolds:
    def disturbed(self, d, orientation="max"):
        """Heads with weights of both signs and places of their own, in float64."""
        module = Folds(
            torch.randn(6, d, generator=seeded()), orientation=orientation, tau=0.1, generator=seeded(1)
        )
        module = module.double()
        with torch.no_grad():
            for number, p in enumerate(module.parameters()):
                p += 0.4 * torch.randn(p.shape, generator=seeded(number)).double()
            u, _, v = torch.linalg.svd(module.weights[0], full_matrices=False)
            module.weights[0].copy_(u @ v)
        module.retract()
        return module

    def formula(self, module, z):
        """Values by whole matrices, as the class states them."""
        mix = torch.as_tensor(hadamard(4)[[0, 2, 1, 3]]) / 2.0
        once = ((z @ module.weights[0].T).view(len(z), 1, -1, 4) - module.places).abs() @ mix.to(z)
        folded = torch.cat([once[..., :1], once[..., 1:].abs()], -1)
        slopes = module.slopes / module.slopes[0].numel() ** 0.5
        scores = (folded * slopes).sum((-1, -2)) + module.offsets
        values = module.tau * torch.logsumexp(scores / module.tau, 1)
        return values if module.orientation == "max" else -values

    @pytest.mark.parametrize("orientation", ["max", "min"])
    @pytest.mark.parametrize("d", [1, 3, 4, 10])
    def test_values_and_gradients_are_those_of_the_formula(self, d, orientation):
        module = self.disturbed(d, orientation).eval()
        z = torch.randn(300, d, generator=seeded(9)).double().requires_grad_()  # more than one block
        upstream = torch.randn(300, generator=seeded(8)).double()
        given = [z, *module.parameters()]
        answers = []
        for function in (module, lambda at: self.formula(module, at)):
            values = function(z)
            answers.append([values.detach(), *torch.autograd.grad(values @ upstream, given)])
        for found, expected in zip(*answers, strict=True):
            torch.testing.assert_close(found, expected, rtol=1e-8, atol=1e-8)

    def test_a_single_head_keeps_the_norm_of_the_gradient(self):
        module = self.disturbed(8)
        with torch.no_grad():
            module.offsets[1:] -= 1e6
        z = torch.randn(500, 8, generator=seeded(3)).double().requires_grad_()
        (slope,) = torch.autograd.grad(module.eval()(z).sum(), z)
        torch.testing.assert_close(slope.norm(dim=1), torch.ones(500).double(), rtol=1e-5, atol=0.0)
        assert module.lipschitz() == pytest.approx(1, abs=1e-5)

    def test_the_constant_is_that_of_longer_weights(self):
        module = self.disturbed(8)
        with torch.no_grad():
            module.slopes[2] *= 3.0
            module.weights[0].mul_(2.0)
        assert module.lipschitz() == pytest.approx(6, rel=1e-5)

    def test_heads_start_as_cones(self):
        tips = 5 * torch.randn(2, 64, generator=seeded())
        module = Folds(tips, tau=1e-3, generator=seeded(1)).eval()
        z = tips[:1] + torch.randn(2000, 64, generator=seeded(2))
        with torch.no_grad():
            drop = (module(tips[:1]) - module(z)) / (z - tips[:1]).norm(dim=1)
        assert float(drop.max()) <= 1 + 1e-5
        assert float(drop.mean()) == pytest.approx(0.9, abs=0.01)  # 0.798 where folds are not folded again


class TestSubspace:
    def samples(self, d=10, n=4000, rng=None):
        return (torch.as_tensor(rng.normal(size=(n, d))) for _ in range(2))

    def test_directions_are_found_by_mean_and_by_covariance(self, rng):
        turn = torch.linalg.qr(torch.as_tensor(rng.normal(size=(10, 10))))[0]
        x, y = self.samples(rng=rng)
        x[:, 0] += 0.5
        y[:, 1] *= 1.5
        basis = find_differing_directions(x @ turn.T, y @ turn.T, seeded())
        assert basis.shape == (2, 10)
        torch.testing.assert_close(basis @ basis.T, torch.eye(2).double())
        # Angles between what is found and the two true directions.
        cosines = torch.linalg.svdvals(basis @ turn[:, :2])
        assert float(cosines.min()) > 0.98

    def test_none_is_found_by_chance_nor_where_all_differ(self, rng):
        for seed in range(20):
            assert find_differing_directions(*self.samples(n=500, rng=rng), seeded(seed)) is None
        x, y = self.samples(rng=rng)
        assert find_differing_directions(x, 2 * y, seeded()) is None

    def test_one_column_has_no_subspace(self, rng):
        x, y = self.samples(d=1, rng=rng)
        assert find_differing_directions(x, y + 1, seeded()) is None

    def test_the_constant_is_that_of_a_longer_basis(self):
        module = module_of("subspace", "euclidean", "max", torch.randn(K, D, generator=seeded()))
        with torch.no_grad():
            module.weights[0].mul_(3.0)
        assert module.lipschitz() == pytest.approx(3, rel=1e-5)


class TestSamples:
    def samples(self, n, m, a, b, seed=0):
        x, y = np.arange(n, dtype=float)[:, None], 1000.0 + np.arange(m)[:, None]
        return Samples.of((x, y), (a, b), split_rows((n, m), seed), lambda z: torch.as_tensor(z).float())

    def test_no_row_is_in_two_parts_and_none_is_lost(self):
        for n, m in [(20, 31), (57, 200)]:
            data = self.samples(n, m, np.ones(n), np.ones(m), seed=n)
            parts = (data.train, data.validation, data.test)
            for side, first, size in (("x", 0, n), ("y", 1000, m)):
                rows = torch.cat([getattr(part, side)[:, 0] for part in parts])
                assert sorted(rows.tolist()) == list(range(first, first + size))
            assert all(min(len(part.x), len(part.y)) >= 2 for part in parts)

    def test_weights_go_with_their_rows_to_a_total_of_one(self):
        a, b = np.arange(1.0, 41), np.arange(30.0, 0, -1)
        data = self.samples(40, 30, a, b)
        for part in (data.train, data.validation, data.test):
            for points, mass, given in ((part.x, part.a, a), (part.y - 1000, part.b, b)):
                expected = given[points[:, 0].long().numpy()]
                assert_allclose(mass, expected / expected.sum(), rtol=1e-12)
            some = part.head(2)
            assert_allclose([some.a.sum(), some.b.sum()], 1, rtol=1e-12)

    @pytest.mark.parametrize("even", [True, False])
    def test_batches_follow_the_weights(self, even):
        n, size = 40, 40_000
        a = np.ones(n) if even else np.arange(1.0, n + 1) ** 2
        data = self.samples(n, n, a, np.ones(n))
        drawn = data.batch(size, seeded())[0][:, 0].long().numpy()
        rows = data.train.x[:, 0].long().numpy()
        counts = np.bincount(drawn, minlength=n)
        assert counts.sum() == counts[rows].sum() == size
        expected = size * data.train.a.numpy()
        assert (np.abs(counts[rows] - expected) < 5 * np.sqrt(expected) + 1).all()

    def test_a_gap_is_the_weighted_difference_of_means(self):
        part = self.samples(40, 30, np.arange(1.0, 41), np.ones(30)).test
        found = part.gap(part.x[:, 0], part.y[:, 0])
        expected = np.average(part.x[:, 0], weights=part.a) - np.average(part.y[:, 0], weights=part.b)
        assert found == pytest.approx(expected, rel=1e-6)

    @pytest.mark.parametrize(("n", "m", "name"), [(19, 50, "x"), (50, 3, "y")])
    def test_too_few_rows_are_refused(self, n, m, name):
        with pytest.raises(InputError, match="must have at least 20 rows") as caught:
            split_rows((n, m), 0)
        assert caught.value.argument == name
        with pytest.raises(InputError) as caught:
            otdist.w1(np.arange(n), np.arange(m), method="critic", steps=5)
        assert caught.value.argument == name
