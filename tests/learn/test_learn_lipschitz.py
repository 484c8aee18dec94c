"""Constants that are proved: norms of convolutions, layers one by one, networks against search."""

from __future__ import annotations

import copy
import math

import pytest
import torch
from networks import (
    MAPS,
    drawn,
    layer_of,
    mlp,
    own_generator,  # noqa: F401  a fixture
    seeded,
    unsettled,
)
from torch import nn

from otdist.errors import InputError
from otdist.learn import lipschitz_constant, spectral_norm
from otdist.learn.constraints.convolution import Convolution
from otdist.learn.constraints.linear import convolution_norm
from otdist.learn.constraints.symbol import symbol_bound

pytestmark = pytest.mark.usefixtures("own_generator")


class TestConvolutionNorm:
    @pytest.mark.parametrize("case", MAPS, ids=str)
    def test_the_matrix_is_the_map_of_the_layer(self, case):
        *numbers, size = case
        rng = seeded()
        layer, shape = layer_of(*numbers, rng=rng), (case[1], *[size] * case[0])
        x = torch.randn(3, *shape, generator=rng)
        matrix = Convolution.of(layer).matrix(layer.weight, shape)
        found = (layer(x) - layer(torch.zeros(1, *shape))).flatten(1).double()
        torch.testing.assert_close(found, x.flatten(1).double() @ matrix.T, atol=1e-5, rtol=1e-5)

    @pytest.mark.parametrize("mode", ["reflect", "replicate", "circular"])
    @pytest.mark.parametrize("padding", [(2, 1), "same"])
    def test_padding_modes_are_those_of_the_layer(self, mode, padding):
        rng = seeded()
        layer = layer_of(2, 2, 3, (3, 4), 1, padding, (2, 1), 1, mode=mode, rng=rng)
        x = torch.randn(3, 2, 6, 7, generator=rng)
        matrix = Convolution.of(layer).matrix(layer.weight, (2, 6, 7))
        found = (layer(x) - layer(torch.zeros(1, 2, 6, 7))).flatten(1).double()
        torch.testing.assert_close(found, x.flatten(1).double() @ matrix.T, atol=1e-5, rtol=1e-5)

    @pytest.mark.parametrize("seed", [0, 1])
    @pytest.mark.parametrize("case", MAPS, ids=str)
    def test_the_symbol_bounds_the_map_from_above_and_closely(self, case, seed):
        *numbers, size = case
        layer = layer_of(*numbers, rng=seeded(seed))
        conv, shape = Convolution.of(layer), (case[1], *[size] * case[0])
        exact = torch.linalg.matrix_norm(conv.matrix(layer.weight, shape), 2).item()
        bound = symbol_bound(layer.weight, conv.stride, conv.dilation, conv.groups)
        assert exact <= bound <= 1.3 * exact  # the rest is what a border takes off
        assert convolution_norm(layer, shape) == pytest.approx(exact, rel=1e-11)
        assert convolution_norm(layer, shape) >= exact

    @pytest.mark.slow
    @pytest.mark.parametrize("case", MAPS[:5], ids=str)
    def test_on_long_sequences_the_bound_is_the_norm(self, case):
        *numbers, _ = case
        layer = layer_of(*numbers, rng=seeded(4))
        conv = Convolution.of(layer)
        exact = torch.linalg.matrix_norm(conv.matrix(layer.weight, (case[1], 400)), 2).item()
        assert exact <= symbol_bound(layer.weight, conv.stride, conv.dilation, conv.groups) < 1.002 * exact

    @pytest.mark.parametrize("shift", [0.0, 0.1, 0.7])
    def test_the_maximum_between_the_points_of_the_first_grid_is_found(self, shift):
        # Taps cos(k w): the symbol is largest near w and near -w, wherever that lies in the grid.
        taps = torch.cos(torch.arange(9) * (1 + shift)).reshape(1, 1, 9)
        w = torch.linspace(0, math.pi, 200_001, dtype=torch.float64)
        values = (taps[0, 0, :, None] * torch.exp(1j * torch.arange(9)[:, None] * w)).sum(0).abs()
        bound = symbol_bound(taps, (1,), (1,), 1)
        assert values.max().item() <= bound <= values.max().item() * (1 + 3e-5)

    @pytest.mark.parametrize("dims", [1, 2, 3])
    def test_closed_forms(self, dims):
        ones = (1,) * dims
        mean = torch.full((1, 1, *[3] * dims), 3.0**-dims)
        assert 1 <= symbol_bound(mean, ones, ones, 1) < 1.001  # it keeps constants
        blocks = symbol_bound(mean, (3,) * dims, ones, 1)  # blocks do not overlap
        assert blocks == pytest.approx(3 ** (-dims / 2), rel=1e-6)
        assert symbol_bound(torch.zeros(2, 2, *[3] * dims), ones, ones, 1) == 0
        square = torch.tensor([[2.0, 0.0], [0.0, 1.0]]).reshape(2, 2, *ones)
        assert symbol_bound(square, ones, ones, 1) == pytest.approx(2, rel=1e-12)

    def test_taps_that_never_meet_are_one_matrix(self):
        # Stride 3 and dilation 2: the three taps fall on three residues, so nothing depends on the frequency.
        layer = layer_of(2, 3, 5, 3, 3, 0, 2, 1, rng=seeded())
        kernel = torch.linalg.matrix_norm(layer.weight.detach().double().flatten(1), 2).item()
        assert symbol_bound(layer.weight, (3, 3), (2, 2), 1) == pytest.approx(kernel, rel=1e-11)

    @pytest.mark.parametrize("case", MAPS, ids=str)
    def test_a_search_that_ends_early_still_bounds(self, case, monkeypatch):
        layer = layer_of(*case[:-1], rng=seeded())
        conv = Convolution.of(layer)
        close = symbol_bound(layer.weight, conv.stride, conv.dilation, conv.groups)
        monkeypatch.setattr("otdist.learn.constraints.symbol.MAX_MULTIPLICATIONS", 0)
        monkeypatch.setattr("otdist.learn.constraints.symbol.MIN_FREQUENCIES", 1)
        rough = symbol_bound(layer.weight, conv.stride, conv.dilation, conv.groups)
        assert close / 1.00001 <= rough <= 2.7 * close

    def test_an_orthogonal_convolution_whose_symbol_is_flat(self):
        matrix, _ = torch.linalg.qr(torch.randn(4, 4, generator=seeded()))
        weight = torch.zeros(4, 4, 3, 3)
        weight[:, :, 2, 0] = matrix
        assert 1 - 1e-7 <= symbol_bound(weight, (1, 1), (1, 1), 1) < 1.001

    @pytest.mark.parametrize("mode", ["reflect", "replicate", "circular"])
    @pytest.mark.parametrize("stride", [1, 2])
    def test_other_padding_is_bounded_too(self, mode, stride, monkeypatch):
        layer = layer_of(2, 2, 3, 3, stride, 2, 1, 1, mode=mode, rng=seeded(1))
        exact = convolution_norm(layer, (2, 7, 8))
        monkeypatch.setattr("otdist.learn.constraints.linear.MAX_MATRIX_ENTRIES", 0)
        assert exact <= convolution_norm(layer, (2, 7, 8)) <= 3 * exact
        with pytest.raises(InputError, match="input_shape"):
            convolution_norm(layer, None)

    def test_circular_padding_without_repeated_outputs_costs_nothing(self, monkeypatch):
        layer = layer_of(1, 2, 3, 3, 1, 1, 1, 1, mode="circular", rng=seeded(1))
        exact = convolution_norm(layer, (2, 90))
        monkeypatch.setattr("otdist.learn.constraints.linear.MAX_MATRIX_ENTRIES", 0)
        assert exact <= convolution_norm(layer, (2, 90)) < 1.001 * exact

    def test_circular_strides_that_do_not_close_are_bounded(self, monkeypatch):
        # 19 entries in steps of 2: first and last window overlap by more than the strides would let them.
        layer = nn.Conv1d(1, 1, 3, 2, 1, padding_mode="circular")
        nn.init.ones_(layer.weight)
        exact = convolution_norm(layer, (1, 19))
        assert exact > symbol_bound(layer.weight, (2,), (1,), 1)
        monkeypatch.setattr("otdist.learn.constraints.linear.MAX_MATRIX_ENTRIES", 0)
        assert exact <= convolution_norm(layer, (1, 19))


def steepest(critic, shape, rng, steps=150):
    """Largest slope that ascent from several points finds."""
    z = (2 * torch.randn(64, *shape, generator=rng, dtype=torch.float64)).requires_grad_()
    step, best = torch.optim.Adam([z], lr=0.05), 0.0
    for _ in range(steps):
        (gradient,) = torch.autograd.grad(critic(z).sum(), z, create_graph=True)
        slopes = gradient.flatten(1).norm(dim=1)
        best = max(best, slopes.max().item())
        step.zero_grad()
        if not slopes.requires_grad:
            break
        (-slopes.sum()).backward()
        step.step()
    return best


NETWORKS = {
    "relu": ((3,), lambda: [nn.Linear(3, 16), nn.ReLU(), nn.Linear(16, 1)]),
    "silu": ((3,), lambda: [nn.Linear(3, 16), nn.SiLU(), nn.Linear(16, 8), nn.ELU(2.0), nn.Linear(8, 1)]),
    "gelu": ((2,), lambda: [nn.Linear(2, 8), nn.GELU(), nn.Linear(8, 8), nn.Softplus(), nn.Linear(8, 1)]),
    "sigmoid": ((2,), lambda: [nn.Linear(2, 8), nn.Sigmoid(), nn.Linear(8, 8), nn.Tanh(), nn.Linear(8, 1)]),
    "nested": (
        (2, 3),
        lambda: [
            nn.Sequential(nn.Flatten(), nn.Identity()),
            nn.Linear(6, 8),
            nn.LeakyReLU(0.2),
            nn.Dropout(),
            nn.Linear(8, 1),
        ],
    ),
    "images": (
        (2, 8, 8),
        lambda: [
            nn.Conv2d(2, 4, 3, 2, 1),
            nn.SiLU(),
            nn.MaxPool2d(2, 1),
            nn.Conv2d(4, 4, 2),
            nn.AvgPool2d(2, 1),
            nn.Flatten(),
            nn.Linear(4, 1),
        ],
    ),
    "series": (
        (1, 20),
        lambda: [
            nn.Conv1d(1, 4, 5, padding=2, padding_mode="reflect"),
            nn.Softplus(),
            nn.AdaptiveAvgPool1d(6),
            nn.Conv1d(4, 4, 3, groups=2),
            nn.AdaptiveMaxPool1d(3),
            nn.Flatten(),
            nn.Linear(12, 1),
        ],
    ),
}


@pytest.mark.parametrize("name", NETWORKS)
class TestConstantOfNetworks:
    @pytest.mark.slow
    def test_no_pair_of_points_is_steeper(self, name):
        shape, layers = NETWORKS[name]
        rng = seeded(2)
        critic = drawn(nn.Sequential(*layers()), rng).double().eval()
        bound = lipschitz_constant(critic, shape)
        for spread in (0.01, 0.3, 10.0):
            x = 3 * torch.randn(33_334, *shape, generator=rng, dtype=torch.float64)
            y = x + spread * torch.randn(x.shape, generator=rng, dtype=torch.float64)
            with torch.no_grad():
                change = (critic(x) - critic(y))[:, 0].abs()
            assert (change <= bound * (x - y).flatten(1).norm(dim=1)).all()

    @pytest.mark.slow
    def test_ascent_finds_no_steeper_place(self, name):
        shape, layers = NETWORKS[name]
        rng = seeded(3)
        critic = drawn(nn.Sequential(*layers()), rng).double().eval()
        bound = lipschitz_constant(critic, shape)
        assert 0.02 * bound < steepest(critic, shape, rng) <= bound


ACTIVATIONS = [
    (nn.ReLU(), 1.0),
    (nn.ReLU6(), 1.0),
    (nn.Hardtanh(), 1.0),
    (nn.LeakyReLU(0.2), 1.0),
    (nn.LeakyReLU(-3.0), 3.0),
    (nn.PReLU(init=0.3), 1.0),
    (nn.PReLU(init=-2.0), 2.0),
    (nn.Tanh(), 1.0),
    (nn.Tanhshrink(), 1.0),
    (nn.Softsign(), 1.0),
    (nn.Softshrink(), 1.0),
    (nn.LogSigmoid(), 1.0),
    (nn.Sigmoid(), 0.25),
    (nn.Hardsigmoid(), 1 / 6 + 5e-9),
    (nn.Hardswish(), 1.5 + 45e-9),
    (nn.ELU(), 1.0),
    (nn.ELU(3.0), 3.0),
    (nn.CELU(0.5), 1.0),
    (nn.SELU(), 1.7580993408473766),
    (nn.SiLU(), 1.0998393201),
    (nn.Mish(), 1.0884981613),
    (nn.GELU(), 1.1289041451),
    (nn.GELU(approximate="tanh"), 1.1289930687),
    (nn.Softplus(), 1.0),
    (nn.Softplus(beta=3.0), 1.0),
]


class TestConstantOfLayers:
    @pytest.mark.parametrize(("layer", "constant"), ACTIVATIONS, ids=lambda v: str(v))
    def test_activations_have_their_largest_derivative(self, layer, constant):
        z = torch.linspace(-30, 30, 600_001, dtype=torch.float64)
        z = z[(z.abs() > 1e-9) & ((z.abs() - 1).abs() > 1e-9)].requires_grad_()
        (slope,) = torch.autograd.grad(layer.double()(z).sum(), z)
        bound = lipschitz_constant(layer)
        assert bound == pytest.approx(constant, rel=1e-9)
        assert bound * (1 - 1e-3) <= slope.abs().max().item() <= bound

    @pytest.mark.parametrize("dims", [1, 2])
    @pytest.mark.parametrize(("k", "s", "p"), [(2, 2, 0), (3, 1, 1), (3, 2, 1), (2, 3, 0), (5, 2, 2)])
    def test_average_pooling_is_a_linear_map(self, dims, k, s, p):
        layer = (nn.AvgPool1d, nn.AvgPool2d)[dims - 1](k, s, p)
        size = 60 if dims == 1 else 24
        units = torch.eye(size**dims, dtype=torch.float64).reshape(-1, 1, *[size] * dims)
        exact = torch.linalg.matrix_norm(layer(units).flatten(1), 2).item()
        assert exact <= lipschitz_constant(layer) <= exact * (1.005 if dims == 1 else 1.04)

    @pytest.mark.parametrize("out", [1, 3, 5, 7])
    def test_adaptive_average_pooling_is_a_linear_map(self, out):
        layer = nn.AdaptiveAvgPool2d((out, None))
        units = torch.eye(7 * 4, dtype=torch.float64).reshape(-1, 1, 7, 4)
        exact = torch.linalg.matrix_norm(layer(units).flatten(1), 2).item()
        assert exact <= lipschitz_constant(layer, (1, 7, 4)) <= exact * (1 + 1e-12)
        with pytest.raises(InputError, match="input_shape"):
            lipschitz_constant(layer)

    @pytest.mark.parametrize(
        "layer",
        [
            nn.MaxPool1d(2),
            nn.MaxPool1d(3, 1),
            nn.MaxPool1d(3, 2, 1),
            nn.MaxPool1d(3, 2, dilation=2),
            nn.MaxPool1d(4, 3, ceil_mode=True),
            nn.AdaptiveMaxPool1d(5),
        ],
        ids=str,
    )
    def test_one_high_entry_attains_the_constant_of_maximum_pooling(self, layer):
        points = 5 * torch.eye(17, dtype=torch.float64)[:, None]
        moved = 6 * torch.eye(17, dtype=torch.float64)[:, None]
        change = (layer(moved) - layer(points)).flatten(1).norm(dim=1)
        assert lipschitz_constant(layer, (1, 17)) == pytest.approx(change.max().item(), rel=1e-12)

    def test_a_linear_layer_has_its_largest_singular_value(self):
        layer = drawn(nn.Linear(30, 20), seeded())
        exact = torch.linalg.svdvals(layer.weight.detach().double())[0].item()
        assert exact <= lipschitz_constant(layer) <= exact * (1 + 1e-12)

    def test_constants_multiply(self):
        critic = nn.Sequential(nn.Linear(2, 2), nn.SiLU(), nn.Linear(2, 1))
        with torch.no_grad():
            critic[0].weight.copy_(torch.diag(torch.tensor([3.0, 1.0])))
            critic[2].weight.copy_(torch.tensor([[0.0, 2.0]]))
        assert lipschitz_constant(critic) == pytest.approx(3 * 1.0998393201 * 2, rel=1e-9)

    def test_the_weight_of_a_parametrisation_is_the_one_that_counts(self):
        layer = nn.Linear(3, 3)
        with torch.no_grad():
            layer.weight.copy_(5 * torch.eye(3))
        assert lipschitz_constant(nn.utils.parametrizations.orthogonal(layer)) == pytest.approx(1, rel=1e-6)

    def test_it_leaves_modes_and_buffers_alone(self):
        critic = unsettled(spectral_norm(mlp(seeded()), generator=seeded()))
        critic[0].eval()
        before = copy.deepcopy(critic.state_dict())
        lipschitz_constant(critic)
        assert critic.training and not critic[0].training and critic[2].training
        for key, value in critic.state_dict().items():
            assert torch.equal(value, before[key])


class Residual(nn.Module):
    def forward(self, x):
        return x + x.relu()


class Doubled(nn.Sequential):
    def forward(self, x):
        return 2 * super().forward(x)


class TestConstantIsRefused:
    @pytest.mark.parametrize(
        ("layer", "words"),
        [
            (nn.BatchNorm1d(3), "other samples"),
            (nn.BatchNorm1d(3).eval(), "other samples"),
            (nn.LayerNorm(3), "the sample itself"),
            (nn.GroupNorm(1, 3), "the sample itself"),
            (nn.InstanceNorm1d(3), "the sample itself"),
            (nn.MultiheadAttention(4, 2), "attention is not Lipschitz"),
            (nn.LSTM(3, 3), "recurrence"),
            (nn.Dropout(), "at random"),
            (nn.Dropout2d(), "at random"),
            (Residual(), r"Residual, whose constant is not known.*1 \+ L\(g\)"),
            (Doubled(nn.Linear(3, 3)), "Doubled"),
            (nn.ConvTranspose1d(1, 1, 3), "ConvTranspose1d"),
            (nn.Hardshrink(), "Hardshrink"),
            (nn.Threshold(1.0, 0.0), "Threshold"),
            (nn.Softplus(threshold=1.0), "Softplus"),
            (nn.CELU(-1.0), "CELU"),
            (nn.Flatten(0), "Flatten"),
            (nn.MaxPool1d(2, return_indices=True), "MaxPool1d"),
            (nn.AvgPool1d(3, 1, 1, count_include_pad=False), "at the border"),
            (nn.AvgPool2d(3, ceil_mode=True), "at the border"),
            (nn.AvgPool2d(3, divisor_override=1), "at the border"),
        ],
        ids=lambda v: str(v).replace("\n", "")[:40],
    )
    def test_layers_without_a_known_constant(self, layer, words):
        with pytest.raises(InputError, match=words) as caught:
            lipschitz_constant(nn.Sequential(nn.Identity(), nn.Sequential(layer)))
        assert "1.0" in str(caught.value) or "at the border" in str(caught.value)

    def test_hooks(self):
        critic = nn.Sequential(nn.Linear(2, 1))
        critic[0].register_forward_hook(lambda layer, given, out: 100 * out)
        with pytest.raises(InputError, match="'0' has a hook"):
            lipschitz_constant(critic)

    @pytest.mark.parametrize("bad", [math.nan, math.inf])
    def test_weights_that_are_not_finite(self, bad):
        layer = nn.Linear(2, 1)
        with torch.no_grad():
            layer.weight[0, 1] = bad
        with pytest.raises(InputError, match="not finite"):
            lipschitz_constant(layer)

    def test_a_shape_that_does_not_fit(self):
        with pytest.raises(InputError, match=r"layer '1' gets \(4,\)"):
            lipschitz_constant(nn.Sequential(nn.Linear(3, 4), nn.Linear(5, 1)), (3,))

    def test_another_layer_can_be_vouched_for(self):
        critic = nn.Sequential(nn.Linear(3, 3), Residual())
        with torch.no_grad():
            critic[0].weight.copy_(2 * torch.eye(3))
        assert lipschitz_constant(critic, (3,), known={Residual: 2.0}) == pytest.approx(4, rel=1e-12)
