"""otdist.learn within inference_mode, no_grad and torch.func, and layers without a second derivative."""

import copy

import numpy as np
import pytest
import torch
from torch import nn
from torch.func import functional_call, grad, jacrev, vmap

import otdist
from otdist.learn import (
    Anchors,
    Critic,
    Orthogonal,
    Pieces,
    SinkhornLoss,
    W1Loss,
    checked_critic,
    clip_weights,
    divergence,
    evaluate,
    fit_wgan,
    gradient_penalty,
    lipschitz_constant,
    spectral_norm,
)

SEED = torch.Generator().manual_seed(0)
X, Y = torch.randn(24, 2, generator=SEED), torch.randn(22, 2, generator=SEED) + 1.0
IMAGES = torch.randn(2, 6, 5, 4, generator=SEED)
SLOW = pytest.mark.slow
NO_CUDA = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
MODES = [torch.inference_mode, torch.no_grad]
SMALL = {"steps": 2, "check_every": 2, "width": 8, "check_points": 16, "batch_size": 16}
ROWS = np.random.default_rng(0).normal(size=(64, 3))

with torch.inference_mode():
    X_INFERENCE, Y_INFERENCE = X.clone(), Y.clone()


def mlp(d=2):
    return nn.Sequential(nn.Linear(d, 6), nn.ReLU(), nn.Linear(6, 1))


NET = mlp()


def small_critic(family):
    return Critic(family=family, steps=2, batch=8, anchors=4, rng=0)


def trained(loss, x=X, y=Y):
    """Gradient of a call of a loss in training."""
    x = x.clone().requires_grad_()
    loss(x, y).backward()
    return x.grad


class TestInferenceAndNoGrad:
    @pytest.mark.parametrize("mode", MODES)
    @pytest.mark.parametrize(
        "family", ["anchors", pytest.param("folds", marks=SLOW), "pieces", "gp", "spectral"]
    )
    def test_critics(self, mode, family):
        expected = small_critic(family).fit(X, Y)
        with mode():
            critic = small_critic(family).fit(X, Y)
            values, gradient = critic(X), critic.gradient(X)
        assert torch.equal(values, expected(X)) and torch.equal(gradient, expected.gradient(X))
        critic.fit(X_INFERENCE, Y_INFERENCE, resume=True)
        assert not critic(X).requires_grad

    @pytest.mark.parametrize("mode", MODES)
    @pytest.mark.parametrize("family", ["orthogonal", "anchors", "pieces", "gp", "clip", "own"])
    def test_a_loss_that_is_first_called_there_trains_afterwards(self, mode, family):
        torch.manual_seed(0)
        options = {"critic": mlp()} if family == "own" else {"family": family, "anchors": 4}
        here, there = W1Loss(inner_steps=2, **options), W1Loss(inner_steps=2, **copy.deepcopy(options))
        first = here(X.clone().requires_grad_(), Y)
        with mode():
            value = there(X.clone().requires_grad_(), Y)
        assert first.requires_grad and not value.requires_grad and value == first.detach()
        assert torch.equal(trained(there), trained(here))
        with mode():
            # A call divides by a bound of the Lipschitz constant, heldout by singular values.
            assert there.heldout(X, Y) == pytest.approx(there.eval()(X, Y).item(), rel=1e-5)
            there.train().refresh(X_INFERENCE, Y_INFERENCE, 1)
        assert trained(there).abs().sum() > 0

    @pytest.mark.parametrize("loss", [W1Loss("exact"), W1Loss("sinkhorn"), W1Loss("sliced"), SinkhornLoss()])
    def test_losses_without_a_critic(self, loss):
        with torch.inference_mode():
            value = loss(X, Y)
        assert loss(X_INFERENCE, Y_INFERENCE) == pytest.approx(float(value), rel=0.3)
        assert trained(loss, X, Y_INFERENCE).abs().sum() > 0

    def test_core_functions(self):
        x = X.clone().requires_grad_()
        expected = otdist.w1(x, Y)
        assert expected.value.requires_grad
        for mode in MODES:
            with mode():
                result = otdist.w1(x, Y)
            assert result == expected and not result.value.requires_grad
        assert otdist.w1(X_INFERENCE, Y_INFERENCE) == expected
        otdist.w1(x, Y_INFERENCE).value.backward()
        assert x.grad.abs().sum() > 0

    @pytest.mark.slow
    @pytest.mark.parametrize("mode", MODES)
    @pytest.mark.parametrize("constraint", ["orthogonal", "gp", "clip", "spectral"])
    def test_runs(self, mode, constraint):
        with mode():
            run = fit_wgan(ROWS, constraint=constraint, **SMALL)
        assert np.array_equal(run.sample(3), fit_wgan(ROWS, constraint=constraint, **SMALL).sample(3))

    def test_penalties_and_norms(self):
        net = mlp()
        with torch.inference_mode():
            value = gradient_penalty(net, X_INFERENCE, Y_INFERENCE, between="both")
        value.backward()
        assert net[0].weight.grad is not None
        with torch.inference_mode():
            checked_critic(net, (2,))
            normed = spectral_norm(net)
            normed(X)
            lipschitz_constant(normed)
        normed(X).sum().backward()

    def test_modules_that_were_made_in_inference_mode(self):
        with torch.inference_mode():
            critic, generator = mlp(3), nn.Linear(16, 3)
        for name, call in {
            "critic": lambda: fit_wgan(ROWS, critic=critic, **SMALL),
            "generator": lambda: fit_wgan(ROWS, generator=generator, **SMALL),
            "module": lambda: spectral_norm(critic),
            "critic:": lambda: W1Loss(critic=critic)(torch.zeros(4, 3), torch.ones(4, 3)),
        }.items():
            with pytest.raises(otdist.InputError, match=f"^{name}.* was made within torch.inference_mode"):
                call()


class TestTransforms:
    """torch.func.grad, vmap and jacrev: refused by an InputError where values are looked at."""

    @pytest.mark.parametrize(
        "function",
        {
            "divergence": lambda x: divergence(x, Y)[0],
            "SinkhornLoss": lambda x: SinkhornLoss()(x, Y),
            "weights": lambda x: SinkhornLoss()(X, Y, x[..., 0].exp()),
            "W1Loss": lambda x: W1Loss()(x, Y),
            "exact": lambda x: W1Loss("exact")(Y, x),
            "heldout": lambda x: W1Loss("exact").heldout(x, Y),
            "penalty": lambda x: gradient_penalty(NET, x[:22], Y),
            "fit": lambda x: Critic(steps=2).fit(x, Y),
            "evaluate": lambda x: evaluate(x, Y),
            "fit_wgan": lambda x: fit_wgan(torch.cat([x, x]), steps=2),
            "spectral_norm": lambda x: spectral_norm(NET)(x).sum(),
        }.values(),
    )
    def test_they_are_refused(self, function):
        for call in (lambda: grad(function)(X), lambda: vmap(function)(X[None]), lambda: jacrev(function)(X)):
            with pytest.raises(otdist.InputError, match=r"within a transform of torch\.func"):
                call()

    def test_a_fitted_critic(self):
        critic = small_critic("anchors").fit(X, Y)
        with pytest.raises(otdist.InputError, match=r"z: .* transform of torch\.func"):
            grad(lambda z: critic(z).sum())(X)

    def test_a_penalty_as_a_function_of_parameters(self):
        net = mlp()
        parameters = dict(net.named_parameters())
        with pytest.raises(otdist.InputError, match=r"critic: .* torch\.func"):
            grad(lambda p: gradient_penalty(lambda z: functional_call(net, p, (z,)), X[:22], Y))(parameters)

    @pytest.mark.parametrize("critic", [Anchors(Y[:4]), Orthogonal(2, width=8), Pieces(Y[:4])])
    def test_modules_of_critics_pass_through(self, critic):
        x = X.clone().requires_grad_()
        (expected,) = torch.autograd.grad(critic(x).sum(), x)
        torch.testing.assert_close(grad(lambda z: critic(z).sum())(X), expected, rtol=1e-3, atol=1e-4)
        assert vmap(critic)(X[None]).shape == (1, 24)

    def test_spectral_norms_at_rest_pass_through(self):
        net = spectral_norm(mlp()).eval()
        x = X.clone().requires_grad_()
        (expected,) = torch.autograd.grad(net(x).sum(), x)
        torch.testing.assert_close(grad(lambda z: net(z).sum())(X), expected)


class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.attention = nn.MultiheadAttention(4, 2, batch_first=True)

    def forward(self, z):
        return self.attention(z, z, z, need_weights=False)[0].mean((1, 2))


class Products(nn.Module):
    def __init__(self):
        super().__init__()
        self.lift = nn.Linear(4, 4)

    def forward(self, z):
        z = self.lift(z)[:, None]
        return nn.functional.scaled_dot_product_attention(z, z, z).mean((1, 2, 3))


class Recurrent(nn.Module):
    def __init__(self, kind):
        super().__init__()
        self.layer, self.head = kind(4, 3, batch_first=True), nn.Linear(3, 1)

    def forward(self, z):
        return self.head(self.layer(z)[0][:, -1])


SEQUENCES = {
    "attention": Attention,
    "products": Products,
    "encoder": lambda: nn.Sequential(
        nn.TransformerEncoderLayer(4, 2, 8, dropout=0.0, batch_first=True), nn.Flatten(), nn.Linear(20, 1)
    ),
    "LSTM": lambda: Recurrent(nn.LSTM),
    "GRU": lambda: Recurrent(nn.GRU),
    "RNN": lambda: Recurrent(nn.RNN),
}


class TestLayersWithoutASecondDerivative:
    @pytest.mark.parametrize("name", SEQUENCES)
    @pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=[pytest.mark.cuda, NO_CUDA])])
    def test_the_penalty_has_the_right_gradient(self, name, device):
        torch.manual_seed(0)
        critic = SEQUENCES[name]().double().to(device)
        x, y = (z.double().to(device) for z in IMAGES)
        options = {"between": "x", "weight": 1.0}
        value = gradient_penalty(critic, x, y, **options)
        value.backward()
        weight = next(critic.parameters())
        step, direction = 1e-5, torch.randn(weight.shape, dtype=torch.float64).to(device)
        ends = []
        for sign in (1, -1):
            with torch.no_grad():
                weight += sign * step * direction
            ends.append(gradient_penalty(critic, x, y, **options).item())
            with torch.no_grad():
                weight -= sign * step * direction
        slope = float((weight.grad * direction).sum())
        assert slope == pytest.approx((ends[0] - ends[1]) / (2 * step), rel=1e-4)

    @pytest.mark.slow
    @pytest.mark.parametrize("constraint", ["gp", "lp"])
    @pytest.mark.parametrize("name", ["attention", "LSTM"])
    def test_runs_train_with_it(self, constraint, name):
        data = np.random.default_rng(0).normal(size=(40, 5, 4))
        run = fit_wgan(data, critic=SEQUENCES[name](), constraint=constraint, **SMALL)
        assert run.steps == 2 and np.isfinite(run.sample(2)).all()

    def test_the_loss_trains_with_it(self):
        assert trained(W1Loss(critic=Attention(), family="gp"), *IMAGES).shape == (6, 5, 4)

    def test_the_choice_of_kernels_outside_stays(self):
        with torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.FLASH_ATTENTION):
            gradient_penalty(Attention(), *IMAGES).backward()
            assert torch.backends.cuda.flash_sdp_enabled() and not torch.backends.cuda.math_sdp_enabled()
        gradient_penalty(SEQUENCES["LSTM"](), *IMAGES)
        assert torch.backends.cudnn.enabled


class TestOutputs:
    def test_one_sample_may_be_squeezed(self):
        net = mlp()
        value = gradient_penalty(lambda z: net(z).squeeze(), X[:1], Y[:1], between="x")
        assert value == gradient_penalty(net, X[:1], Y[:1], between="x")
        with pytest.raises(otdist.InputError, match=r"got shape \(\) for 2 samples"):
            gradient_penalty(lambda z: net(z).sum(), X[:2], Y[:2])

    def test_a_map_of_scores_by_its_mean(self):
        net = nn.Conv2d(1, 1, 3).double()
        x = torch.randn(4, 1, 8, 8, dtype=torch.float64)
        with pytest.raises(otdist.InputError, match="one number per sample"):
            gradient_penalty(net, x, x)
        value = gradient_penalty(lambda z: net(z).mean((1, 2, 3)), x, x, weight=1.0)
        # The score is linear: its gradient is what each pixel adds to the mean of the map.
        pixels = nn.functional.conv_transpose2d(
            torch.full((1, 1, 6, 6), 1 / 36, dtype=torch.float64), net.weight
        )
        assert value.item() == pytest.approx((pixels.norm().item() - 1) ** 2)


def hooked(put):
    critic = mlp(3)
    put(critic[0])
    return critic


@pytest.mark.filterwarnings("ignore::FutureWarning")  # that they are old
@pytest.mark.parametrize(
    ("put", "remove"),
    [
        (nn.utils.spectral_norm, "remove_spectral_norm"),
        (nn.utils.weight_norm, "remove_weight_norm"),
        (lambda layer: nn.utils.prune.l1_unstructured(layer, "weight", 2), "prune.remove"),
    ],
)
class TestWeightsThatAHookComputes:
    def test_they_are_refused_where_weights_are_changed(self, put, remove):
        z = torch.zeros(4, 3), torch.ones(4, 3)
        for argument, call in (
            ("module", lambda: spectral_norm(hooked(put))),
            ("module", lambda: clip_weights(hooked(put))),
            ("critic", lambda: fit_wgan(ROWS, critic=hooked(put), **SMALL)),
            ("critic", lambda: fit_wgan(ROWS, critic=hooked(put), constraint="clip", **SMALL)),
            ("critic", lambda: W1Loss(critic=hooked(put))(*z)),
            ("critic", lambda: W1Loss(critic=hooked(put), family="clip")(*z)),
        ):
            with pytest.raises(otdist.InputError, match=f"^{argument}: layer '.*0' .*hook.*{remove}"):
                call()

    def test_a_penalty_goes_with_them(self, put, remove):
        run = fit_wgan(ROWS, critic=hooked(put), constraint="gp", **SMALL)
        assert run.steps == 2


def test_weights_with_a_parametrisation_are_not_clipped():
    critic = nn.utils.parametrizations.spectral_norm(nn.Linear(3, 1))
    with pytest.raises(otdist.InputError, match="has a parametrisation; remove it"):
        clip_weights(critic)
