"""Spectral normalisation: the norm of the map, gradients, training, saving."""

from __future__ import annotations

import copy
import io

import pytest
import torch
from networks import MAPS, drawn, layer_of, own_generator, seeded  # noqa: F401  a fixture
from torch import nn

from otdist.errors import InputError
from otdist.learn import gradient_penalty, lipschitz_constant, spectral_norm
from otdist.learn.constraints.convolution import Convolution

pytestmark = pytest.mark.usefixtures("own_generator")


def conv_critic(rng):
    layers = [nn.Conv2d(2, 4, 3, 2, 1), nn.LeakyReLU(0.2), nn.Conv2d(4, 4, 3, groups=2, padding="same")]
    return drawn(nn.Sequential(*layers, nn.Flatten(), nn.Linear(64, 1)), rng)


class TestSpectralNorm:
    @pytest.mark.slow
    @pytest.mark.parametrize("case", MAPS, ids=str)
    def test_a_convolution_has_the_norm_1_of_its_map(self, case):
        *numbers, size = case
        shape = (case[1], *[size] * case[0])
        layer = spectral_norm(layer_of(*numbers, rng=seeded()), shape, generator=seeded(1))
        parametrisation = layer.parametrizations.weight
        parametrisation[0].power_iteration(parametrisation.original, 1000)
        exact = torch.linalg.matrix_norm(Convolution.of(layer).matrix(layer.eval().weight, shape), 2)
        # Where two singular values nearly agree it is slow: log(n) / (2 * steps) is what can be promised.
        assert exact.item() == pytest.approx(1, abs=1e-4)

    def test_the_norm_of_the_reshaped_kernel_is_another_one(self):
        # The map of nine equal taps keeps constants; its kernel as a row has norm 1/3.
        layer = nn.Conv2d(1, 1, 3, padding=1, bias=False)
        nn.init.constant_(layer.weight, 1 / 9)
        shape = (1, 20, 20)
        theirs = nn.utils.parametrizations.spectral_norm(copy.deepcopy(layer), n_power_iterations=50)
        ours = spectral_norm(layer, shape, generator=seeded())
        with torch.no_grad():
            for _ in range(100):
                ours(torch.zeros(1, *shape))
        assert lipschitz_constant(ours, shape) == pytest.approx(1, abs=1e-4)
        assert lipschitz_constant(theirs, shape) > 2.8

    @pytest.mark.slow
    def test_it_starts_close_and_comes_closer(self):
        critic = spectral_norm(conv_critic(seeded()), (2, 8, 8), generator=seeded(1))
        first = lipschitz_constant(critic, (2, 8, 8))
        with torch.no_grad():
            for _ in range(300):
                critic(torch.zeros(1, 2, 8, 8))
        last = lipschitz_constant(critic, (2, 8, 8))
        assert 1 - 1e-6 < last < 1 + 1e-5 and last <= first < 1.2

    def test_the_gradient_flows_through_the_norm(self):
        # W / |W| does not change along W, so the gradient is orthogonal to it.
        for layer, shape in ((nn.Linear(4, 3), (4,)), (nn.Conv1d(2, 3, 3), (2, 9))):
            rng = seeded()
            spectral_norm(drawn(layer, rng).double(), shape, generator=rng).eval()
            original = layer.parametrizations.weight.original
            layer(torch.randn(5, *shape, generator=rng).double()).square().sum().backward()
            inner = (original.grad * original).sum().abs() / original.grad.norm() / original.norm()
            assert original.grad.norm() > 1e-3 and inner < 1e-10

            def weight(w, layer=layer):
                return layer.parametrizations.weight[0](w)

            assert torch.autograd.gradcheck(weight, original.detach().clone().requires_grad_())

    def test_two_forward_passes_before_one_backward_pass(self):
        rng = seeded()
        critic = spectral_norm(conv_critic(rng), (2, 8, 8), generator=rng)
        real, fake = (torch.randn(3, 2, 8, 8, generator=rng) for _ in range(2))
        before = critic[0].parametrizations.weight[0].u.clone()
        loss = critic(fake).mean() - critic(real).mean()
        loss = loss + gradient_penalty(critic, real, fake, generator=rng)
        loss.backward()
        assert not torch.equal(before, critic[0].parametrizations.weight[0].u)
        for layer in (critic[0], critic[2], critic[4]):
            gradient = layer.parametrizations.weight.original.grad
            assert torch.isfinite(gradient).all() and gradient.any()

    def test_in_eval_mode_it_stands_still(self):
        critic = spectral_norm(conv_critic(seeded()), (2, 8, 8), generator=seeded()).eval()
        before = copy.deepcopy(critic.state_dict())
        x = torch.randn(2, 2, 8, 8, generator=seeded(3))
        assert torch.equal(critic(x), critic(x))
        assert all(torch.equal(v, before[k]) for k, v in critic.state_dict().items())

    def test_it_is_saved_and_loaded(self):
        rng = seeded()
        critic = spectral_norm(conv_critic(rng), (2, 8, 8), generator=rng)
        file = io.BytesIO()
        torch.save(critic.state_dict(), file)
        file.seek(0)
        other = spectral_norm(conv_critic(seeded(9)), (2, 8, 8), generator=seeded(9))
        x = torch.randn(2, 2, 8, 8, generator=rng)
        assert not torch.equal(other.eval()(x), critic.eval()(x))
        other.load_state_dict(torch.load(file, weights_only=True))
        assert torch.equal(other(x), critic(x))
        assert torch.equal(copy.deepcopy(critic)(x), critic(x))

    @pytest.mark.slow
    def test_it_stays_near_1_while_training(self):
        rng = seeded()
        critic = spectral_norm(conv_critic(rng), (2, 8, 8), generator=rng)
        step = torch.optim.Adam(critic.parameters(), lr=1e-2)
        for _ in range(60):
            real, fake = torch.randn(16, 2, 8, 8, generator=rng) + 1, torch.randn(16, 2, 8, 8, generator=rng)
            step.zero_grad()
            (critic(fake).mean() - critic(real).mean()).backward()
            step.step()
        assert 0.9 < lipschitz_constant(critic, (2, 8, 8)) < 1.1

    def test_under_autocast_the_norm_is_computed_in_float32(self):
        layer = spectral_norm(drawn(nn.Linear(5, 4), seeded()), generator=seeded()).eval()
        with torch.autocast("cpu", torch.bfloat16):
            inside = layer.weight
        assert inside.dtype == torch.float32 and torch.equal(inside, layer.weight)

    @pytest.mark.parametrize(
        ("module", "shape", "words"),
        [
            (nn.Conv1d(1, 1, 3), None, "input_shape"),
            (nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2)), None, "other samples"),
            (nn.Sequential(nn.Linear(2, 2), nn.PReLU()), None, "'1' is a PReLU"),
            (nn.ConvTranspose1d(1, 1, 3), (1, 9), "ConvTranspose1d"),
            (nn.utils.parametrizations.spectral_norm(nn.Linear(2, 2)), None, "already"),
        ],
        ids=["shape", "batch norm", "prelu", "transposed", "twice"],
    )
    def test_refusals(self, module, shape, words):
        with pytest.raises(InputError, match=words):
            spectral_norm(module, shape)

    def test_weights_of_0_are_refused(self):
        layer = nn.Linear(2, 1)
        nn.init.zeros_(layer.weight)
        with pytest.raises(InputError, match="weights 0"):
            spectral_norm(layer)

    def test_a_convolution_that_sees_two_shapes_is_refused(self):
        shared = nn.Conv1d(1, 1, 3)
        with pytest.raises(InputError, match="shapes"):
            spectral_norm(nn.Sequential(shared, nn.ReLU(), shared), (1, 9))

    @pytest.mark.parametrize("steps", [0, 1.5])
    def test_steps_are_counted(self, steps):
        with pytest.raises(InputError, match="steps"):
            spectral_norm(nn.Linear(2, 1), steps=steps)
