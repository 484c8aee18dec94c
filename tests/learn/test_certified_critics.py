"""Critics of the caller that hold their own constraint, everywhere where a critic is taken."""

from __future__ import annotations

import copy
import math

import numpy as np
import pytest
import torch
from torch import nn
from wgan_worker import SMALL, cloud

import otdist
from otdist.errors import InputError
from otdist.learn import (
    WGAN,
    CertifiedCritic,
    W1Loss,
    fit_wgan,
    lipschitz_constant,
    spectral_norm,
)
from otdist.learn.constraints.certified import find_certified_parts, is_self_constrained
from otdist.learn.critics import Anchors, Orthogonal
from otdist.learn.critics.ascent import Ascent
from otdist.learn.wgan.settings import Settings
from otdist.learn.wgan.state import State, build_state


class Turn(nn.Module):
    """An orthogonal matrix, a bias and ``|x|``, held by a QR decomposition."""

    def __init__(self, d, seed=0):
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        self.turn = nn.Parameter(torch.linalg.qr(torch.randn(d, d, generator=generator))[0])
        self.bias = nn.Parameter(torch.randn(d, generator=generator))

    def forward(self, z):
        return torch.addmm(self.bias, z, self.turn.T).abs()

    def lipschitz(self):
        return float(torch.linalg.matrix_norm(self.turn.detach().double(), 2))

    def retract(self):
        q, r = torch.linalg.qr(self.turn)
        self.turn.copy_(q * r.diagonal().sign())

    def matrices(self):
        return [self.turn]


class Head(nn.Module):
    """A linear form of norm 1."""

    def __init__(self, d):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(d) / math.sqrt(d))

    def forward(self, z):
        return z @ self.weight

    def lipschitz(self):
        return float(self.weight.detach().double().norm())

    def retract(self):
        self.weight.div_(self.weight.norm())


class Folded(nn.Module):
    """Two turns and a head in one module, that holds itself."""

    def __init__(self, d, seed=0):
        super().__init__()
        self.layers = nn.Sequential(Turn(d, seed), Turn(d, seed + 1), Head(d))

    def forward(self, z):
        return self.layers(z)

    def lipschitz(self):
        return math.prod(layer.lipschitz() for layer in self.layers)

    def retract(self):
        for layer in self.layers:
            layer.retract()

    def matrices(self):
        return [layer.turn for layer in self.layers[:2]]


def parts(d, seed=0):
    """The same, as a Sequential that does not hold itself but for its parts."""
    return nn.Sequential(Turn(d, seed), Turn(d, seed + 1), Head(d))


class Vouched(nn.Linear):
    """A layer with a bound of the caller's."""

    def __init__(self, bound):
        super().__init__(3, 1)
        self.bound = bound

    def lipschitz(self):
        return self.bound


class TestProtocol:
    def test_who_holds_itself(self):
        for module in (Folded(3), Turn(3), Orthogonal(3), Anchors(torch.zeros(2, 3))):
            assert isinstance(module, CertifiedCritic) and is_self_constrained(module)
        assert not isinstance(parts(3), CertifiedCritic) and is_self_constrained(parts(3))
        for module in (nn.Linear(3, 1), nn.ReLU(), nn.Sequential(Turn(3), nn.Linear(3, 1)), Vouched(1.0)):
            assert not is_self_constrained(module)

    def test_parts_of_a_part_are_its_own(self):
        inner = Folded(3)
        net = nn.Sequential(nn.Flatten(), inner)
        assert list(find_certified_parts(net)) == [inner]
        assert [type(part) for part in find_certified_parts(parts(3))] == [Turn, Turn, Head]


class TestConstant:
    def test_a_layer_counts_with_its_bound(self):
        net = nn.Sequential(Vouched(2.5), nn.ReLU(), nn.Linear(1, 1))
        assert lipschitz_constant(net) == pytest.approx(2.5 * lipschitz_constant(net[2]))
        assert lipschitz_constant(Vouched(2.5)) == pytest.approx(2.5)
        assert lipschitz_constant(parts(4)) == pytest.approx(Folded(4).lipschitz(), rel=1e-6)
        assert lipschitz_constant(Vouched(0.0)) < 1e-300

    def test_what_the_caller_knows_goes_first(self):
        assert lipschitz_constant(Vouched(2.5), known={Vouched: 7.0}) == pytest.approx(7.0)

    @pytest.mark.parametrize("bound", [-1.0, math.nan, math.inf, "1", None])
    def test_what_is_no_bound_is_refused(self, bound):
        with pytest.raises(InputError, match=r"module: layer '0' with lipschitz\(\) must return"):
            lipschitz_constant(nn.Sequential(Vouched(bound), nn.ReLU()))

    def test_weights_that_are_not_finite_have_none(self):
        layer = Vouched(1.0)
        with torch.no_grad():
            layer.weight[0, 0] = math.nan
        with pytest.raises(InputError, match="not finite"):
            lipschitz_constant(layer)

    def test_normalisation_leaves_them_alone(self):
        turn = Turn(3)
        before = turn.turn.detach().clone()
        net = spectral_norm(nn.Sequential(turn, nn.Linear(3, 1)), generator=torch.Generator().manual_seed(0))
        assert torch.equal(turn.turn, before)
        assert lipschitz_constant(net.eval()) == pytest.approx(1.0, abs=1e-3)


def small(**more):
    return fit_wgan(cloud(), **(SMALL | {"steps": 20} | more))


class TestTrainer:
    @pytest.mark.parametrize("make", [Folded, parts])
    def test_the_constraint_holds_after_every_step(self, make, monkeypatch):
        plain, constants = State.generator_step, []

        def measured(state):
            constants.append(state.constant())
            return plain(state)

        monkeypatch.setattr(State, "generator_step", measured)
        critic = make(3)
        before = copy.deepcopy(critic.state_dict())
        run = small(critic=critic, critic_rate=1e-2)
        assert run.settings.constraint == "own" and run.settings.is_certified
        assert len(constants) == 20 and max(constants) < 1 + 1e-5
        assert any(not torch.equal(before[name], value) for name, value in critic.state_dict().items())

    def test_its_gap_is_a_bound(self):
        data = np.random.default_rng(0).normal(size=(300, 3))
        run = fit_wgan(data, critic=Folded(3), steps=60, check_every=60, check_points=100, batch_size=64)
        truth = float(otdist.w1(run.sample(400), np.random.default_rng(1).normal(size=(400, 3))))
        assert 0 < run.w1.lower <= truth
        assert run.history[-1].gap_ratio is None or run.history[-1].gap_ratio < 1.5

    @pytest.mark.slow
    def test_a_critic_of_the_library_is_the_default(self):
        default = small(constraint="orthogonal")
        start = build_state(Settings(**default.settings.to_dict()), (3,), 0, None, None, torch.device("cpu"))
        own = small(critic=start.critic)
        assert own.settings.constraint == "own"
        # Its matrices are retracted once more, before the first step.
        assert np.allclose(own.sample(20), default.sample(20), rtol=1e-4)

    @pytest.mark.slow
    def test_images_and_packs_keep_their_shape(self):
        class Flat(Folded):
            def forward(self, z):
                assert z.shape[1:] == (2, 1, 4, 4)
                return super().forward(z.flatten(1))

        images = np.random.default_rng(0).normal(size=(60, 1, 4, 4))
        run = fit_wgan(images, critic=Flat(32), packing=2, **(SMALL | {"steps": 3}))
        assert run.sample(2).shape == (2, 1, 4, 4)
        small(critic=Anchors(torch.randn(4, 3)), steps=2)

    @pytest.mark.slow
    def test_a_mixed_network_is_normalised_where_it_does_not_hold_itself(self):
        run = small(critic=nn.Sequential(Turn(3), nn.Linear(3, 1)))
        assert run.settings.constraint == "spectral" and run.state.constant() < 1.01

    @pytest.mark.slow
    def test_it_is_saved_and_asked_for_again(self, tmp_path):
        run = small(critic=Folded(3), folder=tmp_path)
        again = WGAN.load(tmp_path, critic=Folded(3, seed=5))
        assert again.settings == run.settings and again.state.constant() == run.state.constant()

    @pytest.mark.parametrize(
        ("options", "said"),
        [
            ({"critic": Folded(3), "constraint": "gp"}, "constraint: must be 'own' for a critic with"),
            ({"critic": nn.Linear(3, 1), "constraint": "own"}, "constraint: must not be 'own' without"),
            ({"constraint": "own"}, "constraint: must not be 'own' without"),
            ({"critic": Orthogonal(5)}, r"critic: must take points of shape \(3,\)"),
            ({"critic": nn.Sequential(Turn(3), nn.LayerNorm(3, bias=False), Head(3))}, "whose parameters"),
            ({"critic": nn.Sequential(Turn(3), nn.Softmax(1), Head(3))}, "critic: layer '1' is a Softmax"),
        ],
    )
    def test_what_does_not_fit_is_refused(self, options, said):
        with pytest.raises(InputError, match=said):
            small(**options)


class TestLoss:
    @pytest.mark.parametrize("make", [Folded, parts])
    def test_matrices_are_rotated_and_values_bounded(self, make):
        generator = torch.Generator().manual_seed(0)
        x, y = torch.randn(60, 3, generator=generator), torch.randn(60, 3, generator=generator) + 2.0
        loss = W1Loss(critic=make(3), inner_steps=40)
        value = float(loss(x, y))
        assert 0 < value <= float(otdist.w1(x, y)) * (1 + 1e-6)
        groups = {group["matrix"]: group["params"] for group in loss.online._training.optimiser.param_groups}
        assert [p.shape for p in groups[True]] == [(3, 3), (3, 3)]
        assert sum(len(params) for params in groups.values()) == 5

    def test_a_family_is_refused(self):
        for make in (Folded, parts):
            with pytest.raises(InputError, match=r"family: must be None for a critic with lipschitz\(\)"):
                W1Loss(critic=make(3), family="gp")

    def test_matrices_must_be_orthogonal_parameters(self):
        critic = Folded(3)
        critic.matrices = lambda: [torch.eye(3)]
        with pytest.raises(InputError, match=r"critic: matrices\(\) must return parameters of two axes"):
            Ascent(critic, 0.01)
        critic.matrices = lambda: [critic.layers[0].turn]
        with torch.no_grad():
            critic.layers[0].turn.mul_(2.0)
        with pytest.raises(InputError, match=r"critic: matrices\(\) must return orthogonal matrices"):
            Ascent(critic, 0.01)
