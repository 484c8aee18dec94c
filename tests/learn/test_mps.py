"""Apple's devices have no float64: values of tensors there come from the CPU, and go back in float32."""

import numpy as np
import pytest
import torch
from fake_mps import MPS, FakeMps
from torch import nn

import otdist
from otdist.learn import (
    Critic,
    SinkhornLoss,
    W1Loss,
    evaluate,
    fit_wgan,
    gradient_penalty,
    lipschitz_constant,
)

SEED = torch.Generator().manual_seed(0)
X, Y = torch.randn(24, 2, generator=SEED), torch.randn(22, 2, generator=SEED) + 1.0


@pytest.fixture(autouse=True)
def device():
    with FakeMps():
        yield


def test_the_device_is_one():
    x = X.to("mps")
    assert x.device == MPS and (x + 1)[0].device == MPS and x.cpu().device.type == "cpu" == X.device.type
    assert nn.Linear(2, 1).to("mps").weight.device == MPS
    for wide in (lambda: x.double(), lambda: torch.zeros(2, device="mps", dtype=torch.float64)):
        with pytest.raises(TypeError, match="float64"):
            wide()
    with pytest.raises(RuntimeError, match="same device"):
        x + X


@pytest.mark.parametrize(
    "function",
    {
        "w1": lambda x, y: otdist.w1(x, y).value,
        "sliced_w1": lambda x, y: otdist.sliced_w1(x, y, n_projections=4).value,
        "sinkhorn_divergence": lambda x, y: otdist.sinkhorn_divergence(x, y).value,
        "wasserstein_1d": lambda x, y: otdist.wasserstein_1d(x[:22, 0], y[:, 0]),
        "SinkhornLoss": SinkhornLoss(),
        "exact": W1Loss("exact"),
        "sliced": W1Loss("sliced", n_projections=4),
        "orthogonal": W1Loss(inner_steps=1),
        "anchors": W1Loss(family="anchors", anchors=4, inner_steps=1),
        "pieces": W1Loss(family="pieces", anchors=4, inner_steps=1),
        "spectral": W1Loss(family="spectral", inner_steps=1),
    }.values(),
)
def test_values_and_gradients(function):
    x, y = X.to("mps").requires_grad_(), Y.to("mps")
    value = function(x, y)
    value.backward()
    assert (value.device, value.dtype) == (MPS, torch.float32) and x.grad.device == MPS


SLOW = [pytest.param(family, marks=pytest.mark.slow) for family in ("orthogonal", "folds", "spectral")]


@pytest.mark.slow
@pytest.mark.parametrize("family", ["anchors", "pieces", *SLOW])
def test_critics(family, tmp_path):
    x, y = X.numpy(), Y.numpy()
    critic = Critic(family=family, steps=2, batch=8, anchors=4, device="mps").fit(x, y)
    assert critic(X.to("mps")).device == MPS == critic.gradient(X.to("mps")).device
    critic.fit(x, y, resume=True).save(tmp_path)
    assert np.array_equal(Critic.load(tmp_path, device="mps")(x), critic(x))


@pytest.mark.parametrize("metric", ["cityblock", "angular"])
def test_critics_of_other_metrics(metric):
    critic = Critic(metric=metric, steps=2, batch=8, anchors=4, device="mps").fit(X.numpy(), Y.numpy())
    assert critic(X.numpy()).shape == (24,)


@pytest.mark.slow
def test_sources_of_points():
    rng = np.random.default_rng(0)
    critic = Critic(family="anchors", steps=2, batch=8, anchors=4, device="mps")
    critic.fit(lambda n: rng.normal(size=(n, 2)), lambda n: torch.randn(n, 2, generator=SEED).to("mps"))
    assert np.isfinite(critic.gaps["test"])


def test_constants_and_penalties():
    net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten(), nn.Linear(32, 1)).to("mps")
    assert lipschitz_constant(net, (1, 6, 6)) > 0
    line = nn.Linear(2, 1).to("mps")
    assert gradient_penalty(line, X[:22].to("mps"), Y.to("mps"), between="x").device == MPS
    assert str(evaluate(X.to("mps"), Y.to("mps"))) == str(evaluate(X, Y))


@pytest.mark.slow
@pytest.mark.parametrize("constraint", ["orthogonal", "gp", "spectral"])
def test_runs(constraint):
    options = {"steps": 2, "check_every": 1, "check_points": 16, "batch_size": 8, "width": 8}
    run = fit_wgan(torch.cat([X, Y]).to("mps"), device="mps", constraint=constraint, **options)
    assert run.sample(2).shape == (2, 2)


@pytest.mark.slow
def test_the_metric_of_torchmetrics():
    pytest.importorskip("torchmetrics")
    from otdist.learn.w1metric import W1Metric

    metric = W1Metric().to("mps")
    metric.update(X.to("mps"), Y.to("mps"))
    value = metric.compute()
    assert (value.device, value.dtype) == (MPS, torch.float32)
    assert float(value) == pytest.approx(float(otdist.w1(X, Y)))
