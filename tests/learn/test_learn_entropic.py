"""Entropic transport for torch: relations between its answers, and two libraries that are not ours."""

from __future__ import annotations

import warnings

import numpy as np
import ot
import pytest
import torch
from geomloss import SamplesLoss
from torch.utils._python_dispatch import TorchDispatchMode

import otdist
from otdist.learn import divergence
from otdist.learn.sinkhorn.costs import compute_costs, compute_smooth_costs
from otdist.learn.sinkhorn.softmin import PairwiseSoftmin

EXACT = {"tol": 1e-11, "n_iter": 20_000}
MARGINALS = {"exact": {}, "kl": {"reach": 1.2}, "tv": {"reach": 0.8, "penalty": "tv"}}


def clouds(seed=0, n=12, m=9, d=2, dtype=torch.float64):
    """Two weighted clouds, both of mass 1."""
    rng = torch.Generator().manual_seed(seed)
    x, y = (torch.randn(k, d, generator=rng, dtype=dtype) for k in (n, m))
    a, b = (torch.rand(k, generator=rng, dtype=dtype) + 0.1 for k in (n, m))
    return x, 0.7 * y + 0.5, a / a.sum(), b / b.sum()


def powers(x, y, p):
    """Costs without any of our code."""
    return ((x[..., :, None, :] - y[..., None, :, :]) ** 2).sum(-1) ** (p / 2)


def kl(r, s):
    return float(torch.special.xlogy(r, r / s).sum() - r.sum() + s.sum())


def primal(plan, cost, a, b, eps, rho=None, penalty="kl"):
    """What a plan costs, with the entropy and the penalties."""
    value = float((plan * cost).sum()) + eps * kl(plan, a[:, None] * b)
    for r, w in ((plan.sum(1), a), (plan.sum(0), b)) if rho else ():
        value += rho * (kl(r, w) if penalty == "kl" else float((r - w).abs().sum()))
    return value


@pytest.mark.parametrize("p", [1, 2, 3])
@pytest.mark.parametrize("marginals", MARGINALS)
def test_primal_and_dual_meet(p, marginals):
    x, y, a, b = clouds()
    options = MARGINALS[marginals]
    if marginals != "exact":
        a = 2 * a  # a penalty lets the masses differ
    value, info = divergence(x, y, a, b, p=p, eps_abs=0.3, debias=False, **options, **EXACT)
    cost = powers(x, y, p)
    plan = a[:, None] * b * torch.exp((info["f"][:, None] + info["g"] - cost) / 0.3)
    rho = options["reach"] ** p if options else None
    best = primal(plan, cost, a, b, 0.3, rho, options.get("penalty", "kl"))
    assert value.item() == pytest.approx(best, rel=1e-8)
    if marginals == "exact":
        torch.testing.assert_close(plan.sum(1), a, rtol=1e-8, atol=1e-10)
        torch.testing.assert_close(plan.sum(0), b, rtol=1e-8, atol=1e-10)
    assert info["xy"] == value and info["converged"]


@pytest.mark.parametrize("p", [1, 2])
def test_balanced_plan_is_that_of_pot(p):
    x, y, a, b = clouds()
    cost = powers(x, y, p)
    plan, log = ot.sinkhorn(a, b, cost, 0.2, method="sinkhorn_log", stopThr=1e-14, numItermax=10**5, log=True)
    value, info = divergence(x, y, a, b, p=p, eps_abs=0.2, debias=False, **EXACT)
    assert value.item() == pytest.approx(primal(plan, cost, a, b, 0.2), rel=1e-9)
    # POT's potentials have the weights in them, and both are known up to a constant.
    difference = info["f"] - 0.2 * (log["log_u"] - a.log())
    torch.testing.assert_close(difference, difference.mean().expand_as(a), rtol=0, atol=1e-8)


@pytest.mark.parametrize("p", [1, 2])
def test_unbalanced_plan_is_that_of_pot(p):
    x, y, a, b = clouds()
    a, rho = 1.5 * a, 1.3**p
    cost = powers(x, y, p)
    plan = ot.unbalanced.sinkhorn_unbalanced(
        a, b, cost, 0.2, rho, method="sinkhorn_stabilized", reg_type="kl", stopThr=1e-15, numItermax=10**5
    )
    value, _ = divergence(x, y, a, b, p=p, eps_abs=0.2, reach=1.3, debias=False, **EXACT)
    assert value.item() == pytest.approx(primal(plan, cost, a, b, 0.2, rho), rel=1e-8)


@pytest.mark.slow
@pytest.mark.parametrize("reach", [None, 1.0])
@pytest.mark.parametrize("p", [1, 2])
@pytest.mark.parametrize("debias", [True, False])
def test_values_and_potentials_are_those_of_geomloss(p, reach, debias):
    x, y, a, b = clouds()
    eps = 0.5
    # GeomLoss has eps = blur^p, rho = reach^p, and p = 2 has half the cost unless the cost is given,
    # as it is here: its own |x - y| for p = 1 is cut at 1e-4.
    theirs = {
        "p": p,
        "blur": eps ** (1 / p),
        "reach": reach,
        "scaling": 0.999,
        "cost": lambda u, v: powers(u, v, p),
    }
    value, info = divergence(x, y, a, b, p=p, eps_abs=eps, reach=reach, debias=debias, **EXACT)
    expected = SamplesLoss("sinkhorn", debias=debias, backend="tensorized", **theirs)(a, x, b, y)
    # It stops when eps has come down, by 0.001 a step: with penalties a step behind, by 7e-5 here.
    assert value.item() == pytest.approx(expected.item(), rel=1e-5 if reach is None else 1e-4)
    f, _ = SamplesLoss("sinkhorn", debias=False, potentials=True, backend="tensorized", **theirs)(a, x, b, y)
    offset = info["f"] - f.reshape(-1)
    shift = offset.mean() if reach is None else 0.0
    assert (offset - shift).abs().max().item() < 5e-3


@pytest.mark.parametrize("p", [1, 2])
def test_two_atoms_have_a_closed_form(p):
    x = torch.tensor([[0.0], [1.7]], dtype=torch.float64)
    for eps in (3.0, 0.4, 0.05):
        z = np.exp(-(1.7**p) / eps)
        value, _ = divergence(x, x, p=p, eps_abs=eps, debias=False, **EXACT)
        assert value.item() == pytest.approx(-eps * np.log((1 + z) / 2), rel=1e-9)


@pytest.mark.parametrize("p", [1, 2])
def test_exact_transport_is_the_limit_of_small_eps(p):
    x, y, a, b = clouds()
    exact = otdist.wasserstein(x, y, a, b, p=p).upper ** p
    value, info = divergence(x, y, a, b, p=p, eps=0.01, debias=False, tol=1e-7, n_iter=20_000)
    entropy = -float((a * a.log()).sum())
    assert exact <= value.item() <= exact + float(info["eps_abs"]) * entropy


def test_mean_costs_are_the_limit_of_large_eps():
    x, y, a, b = clouds()
    for p in (1, 2):
        xy, xx, yy = (
            float(u @ powers(v, w, p) @ t) for u, v, w, t in ((a, x, y, b), (a, x, x, a), (b, y, y, b))
        )
        value, _ = divergence(x, y, a, b, p=p, eps=1e5, **EXACT)
        assert value.item() == pytest.approx(xy - (xx + yy) / 2, rel=1e-4)


def test_a_shift_costs_its_length_squared():
    x, _, a, _ = clouds()
    shift = torch.tensor([3.0, -4.0], dtype=torch.float64)
    assert divergence(x, x + shift, a, a, p=2, **EXACT)[0].item() == pytest.approx(25.0, rel=1e-9)


@pytest.mark.parametrize("p", [1, 2])
@pytest.mark.parametrize("seed", range(3))
def test_divergence_is_not_negative_and_vanishes_for_equal_clouds(p, seed):
    x, y, a, b = clouds(seed)
    assert divergence(x, y, a, b, p=p)[0].item() > 0
    # The error of a value is of second order in the marginals.
    options = {"p": p, "tol": 1e-6, "n_iter": 5000}
    assert abs(divergence(x, x, a, a, **options)[0].item()) < 1e-7
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(seed))
    assert abs(divergence(x, x[order], a, a[order], **options)[0].item()) < 1e-7


@pytest.mark.parametrize("p", [1, 2])
@pytest.mark.parametrize("marginals", MARGINALS)
def test_symmetry_scale_and_shift(p, marginals):
    x, y, a, b = clouds()
    options = MARGINALS[marginals]
    value = divergence(x, y, a, b, p=p, **options, **EXACT)[0].item()
    assert divergence(y, x, b, a, p=p, **options, **EXACT)[0].item() == pytest.approx(value, rel=1e-8)
    assert divergence(x + 1e6, y + 1e6, a, b, p=p, **options, **EXACT)[0].item() == pytest.approx(
        value, rel=1e-6
    )
    scale = 2.0**40
    if "reach" in options:
        options = options | {"reach": options["reach"] * scale}
    scaled = divergence(scale * x, scale * y, a, b, p=p, **options, **EXACT)[0].item()
    assert scaled == value * scale**p


@pytest.mark.parametrize("scale", [1e-30, 1e-15, 1e15])
def test_no_power_over_or_underflows_on_the_way(scale):
    x, y, a, b = clouds(dtype=torch.float32)
    value = divergence(x, y, a, b)[0].item()
    assert divergence(scale * x, scale * y, a, b)[0].item() == pytest.approx(scale * value, rel=1e-4)


@pytest.mark.parametrize("marginals", MARGINALS)
def test_weights_are_masses(marginals):
    x, y, a, b = clouds()
    options = MARGINALS[marginals] | EXACT
    value = divergence(x, y, a, b, **options)[0].item()
    # a point without mass is absent, far away as it may be
    far = torch.cat((x, torch.full((1, 2), 1e3)))
    none = torch.cat((a, torch.zeros(1)))
    assert divergence(far, y, none, b, **options)[0].item() == pytest.approx(value, rel=1e-9)
    # half the weight twice is the weight
    twice, halves = torch.cat((x, x)), torch.cat((a, a)) / 2
    assert divergence(twice, y, halves, b, **options)[0].item() == pytest.approx(value, rel=1e-9)
    if marginals == "exact":
        assert divergence(x, y, 7 * a, b, **options)[0].item() == pytest.approx(value, rel=1e-12)


def test_the_mass_of_a_penalised_cloud_counts():
    x, _, a, _ = clouds()
    same = divergence(x, x, a, a, reach=1.0, **EXACT)[0].item()
    more = divergence(x, x, 3 * a, a, reach=1.0, **EXACT)[0].item()
    assert abs(same) < 1e-10 < more


@pytest.mark.parametrize("marginals", MARGINALS)
def test_a_batch_is_its_problems_one_by_one(marginals):
    problems = [clouds(seed, 8, 6) for seed in range(3)]
    problems[1] = (100 * problems[1][0], *problems[1][1:])
    x, y, a, b = (torch.stack(parts) for parts in zip(*problems, strict=True))
    values, info = divergence(x, y, a, b, p=2, **MARGINALS[marginals])
    assert values.shape == info["residual"].shape == (3,)
    for k, problem in enumerate(problems):
        value, one = divergence(*problem, p=2, **MARGINALS[marginals])
        assert values[k].item() == pytest.approx(value.item(), rel=1e-12)
        assert info["iterations"][k] == one["iterations"]


def test_one_cloud_serves_a_whole_batch():
    x, y, _, _ = clouds()
    batch = torch.stack((x, x + 1))
    values, _ = divergence(batch, y)
    assert values[1].item() == pytest.approx(divergence(x + 1, y)[0].item(), rel=1e-12)


@pytest.mark.slow
@pytest.mark.parametrize("d", [1, 3, 7, 20])
@pytest.mark.parametrize("p", [1, 2, 1.5])
def test_the_size_of_a_tile_does_not_matter(d, p):
    x, y, a, b = clouds(d=d)
    whole = divergence(x, y, a, b, p=p)[0].item()
    for block in (5, 50):
        assert divergence(x, y, a, b, p=p, block=block)[0].item() == pytest.approx(whole, rel=1e-10)


def test_float32_is_near_float64():
    for p in (1, 2):
        x, y, a, b = clouds(n=60, m=50, d=3)
        value = divergence(x, y, a, b, p=p)[0].item()
        single = divergence(*(t.float() for t in (x, y, a, b)), p=p)[0]
        assert single.dtype == torch.float32
        assert single.item() == pytest.approx(value, rel=1e-5)


@pytest.mark.parametrize("d", [2, 8, 40])
def test_costs_of_close_points_far_from_the_origin(d):
    rng = torch.Generator().manual_seed(0)
    x = torch.randn(1, 30, d, generator=rng) + 1000
    y = x[:, :20] + 0.01 * torch.randn(1, 20, d, generator=rng)
    expected = powers(x.double(), y.double(), 1)
    for p in (1, 2):
        found = compute_costs(x, y, p).double()
        assert ((found - expected**p).abs() / expected**p).max().item() < 1e-4
    assert torch.equal(compute_costs(x, x, 1).diagonal(dim1=1, dim2=2), torch.zeros(1, 30))


def test_the_kink_of_the_distance_has_slope_zero():
    point = torch.zeros(1, 3, dtype=torch.float64, requires_grad=True)
    for p in (1, 1.5, 2):
        cost, slope = compute_smooth_costs(point, p)
        assert cost.item() == 0 and torch.equal(slope, torch.zeros_like(slope))
        for first in torch.autograd.grad((cost.sum(), slope.sum()), point):
            assert torch.isfinite(first).all()


def test_a_pass_is_a_log_sum():
    x, y, _, _ = clouds()
    pair, eps = PairwiseSoftmin(x[None], y[None], 1, block=7), torch.tensor([[0.3]], dtype=torch.float64)
    h = torch.linspace(-1, 1, 9, dtype=torch.float64)[None]
    expected = -0.3 * torch.logsumexp(h - powers(x, y, 1) / 0.3, -1)
    torch.testing.assert_close(pair.rows(h, eps), expected[None])


@pytest.mark.slow
def test_over_relaxation_saves_sweeps(monkeypatch):
    x, y, a, b = clouds(n=40, m=40)
    options = {"eps": 0.01, "debias": False, "tol": 1e-5, "n_iter": 10_000}
    value, fast = divergence(x, y, a, b, **options)
    monkeypatch.setattr("otdist.learn.sinkhorn.relax.MAX_OMEGA", 1.0)
    same, plain = divergence(x, y, a, b, **options)
    assert value.item() == pytest.approx(same.item(), rel=1e-6)
    assert fast["iterations"] < plain["iterations"] / 2


def test_an_unfinished_value_is_returned_as_it_is_with_its_residual():
    x, _, _, _ = clouds(n=40)
    y = x + 0.01 * torch.randn(x.shape, dtype=x.dtype, generator=torch.Generator().manual_seed(1))
    with pytest.warns(otdist.ConvergenceWarning, match="raise n_iter, eps or tol"):
        value, info = divergence(x, y, p=2, n_iter=10)
    assert value.item() < 0
    assert 1e-4 < info["residual"] < 2 and not info["converged"]
    assert info["xy"] - (info["xx"] + info["yy"]) / 2 == value


class Waits(TorchDispatchMode):
    """Count how often the host waits for a value of the device."""

    def __init__(self):
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.count += func in (torch.ops.aten._local_scalar_dense.default, torch.ops.aten.nonzero.default)
        return func(*args, **(kwargs or {}))


@pytest.mark.slow
@pytest.mark.parametrize("marginals", MARGINALS)
def test_the_host_does_not_wait_in_the_loop(marginals):
    x, y, a, b = clouds()
    counts = []
    for n_iter in (40, 120):
        with Waits() as waits, warnings.catch_warnings():
            warnings.simplefilter("error")
            _, info = divergence(x, y, a, b, tol=None, n_iter=n_iter, **MARGINALS[marginals])
        counts.append(waits.count)
        assert info["iterations"] == n_iter
    assert counts[0] == counts[1]
    with Waits() as waits:
        _, info = divergence(x, y, a, b, debias=False, tol=1e-12, n_iter=5000)
    assert waits.count <= counts[0] + 2 + int(info["iterations"]) / 10


@pytest.mark.parametrize("n", [1, 4])
def test_points_in_one_place(n):
    x = torch.full((n, 2), 3.0, requires_grad=True)
    value, _ = divergence(x, torch.full((2, 2), 3.0))
    value.backward()
    assert value.item() == 0 and torch.equal(x.grad, torch.zeros_like(x))
    assert divergence(x, torch.full((1, 2), 4.0), p=2)[0].item() == pytest.approx(2.0, rel=1e-6)


def test_columns_may_be_plain_and_the_other_side_an_array():
    x = torch.tensor([0.0, 1.0, 2.0])
    value, _ = divergence(x, np.array([[1.0], [3.0]]), [1, 1, 2])
    assert value.item() == pytest.approx(
        divergence(x[:, None], torch.tensor([1.0, 3.0]), [2, 2, 4])[0].item()
    )


X = torch.zeros(3, 2)
WRONG = {
    "x": [((torch.tensor([[0.0, float("nan")]]), X), {}), ((torch.zeros(0, 2), X), {})],
    "y": [((X, torch.zeros(2, 3)), {}), ((torch.zeros(2, 3, 2), torch.zeros(3, 3, 2)), {})],
    "a": [
        ((X, X, torch.tensor([1.0, -1.0, 1.0])), {}),
        ((X, X, torch.ones(2)), {}),
        ((X, X, torch.zeros(3)), {}),
    ],
    "p": [((X, X), {"p": 0.5}), ((X, X), {"p": float("nan")})],
    "eps": [((X, X), {"eps": 0.0})],
    "reach": [((X, X), {"reach": -1.0})],
    "penalty": [((X, X), {"penalty": "l2"})],
    "n_iter": [((X, X), {"n_iter": 0})],
    "tol": [((X, X), {"tol": -1.0})],
    "engine": [((X, X), {"engine": "numpy"})],
    "block": [((X, X), {"block": 0})],
}


@pytest.mark.parametrize(("name", "call"), [(name, call) for name, calls in WRONG.items() for call in calls])
def test_wrong_input_is_named(name, call):
    with pytest.raises(otdist.InputError) as caught:
        divergence(*call[0], **call[1])
    assert caught.value.argument == name
