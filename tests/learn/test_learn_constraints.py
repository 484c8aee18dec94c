"""Constraints of critics: closed forms, and published bugs that must not come back."""

from __future__ import annotations

import copy
import math

import pytest
import torch
from networks import mlp, own_generator, seeded, unsettled  # noqa: F401  a fixture
from torch import nn

from otdist.errors import InputError
from otdist.learn import checked_critic, clip_weights, corrected_gap, gradient_penalty, spectral_norm

pytestmark = pytest.mark.usefixtures("own_generator")


class TestPenalty:
    @pytest.mark.parametrize("rank", [2, 3, 4, 5])
    @pytest.mark.parametrize("between", ["lines", "x", "y", "both"])
    def test_a_linear_critic_costs_its_slope(self, rank, between):
        rng = seeded()
        shape = (3, 2, 4, 2)[: rank - 1]
        slope = torch.randn(shape, generator=rng, dtype=torch.float64)
        x, y = (torch.randn(6, *shape, generator=rng, dtype=torch.float64) for _ in range(2))
        found = gradient_penalty(
            lambda z: (z * slope).flatten(1).sum(1), x, y, weight=3.0, between=between, generator=rng
        )
        assert found.item() == pytest.approx(3 * (slope.norm().item() - 1) ** 2, rel=1e-12)

    def test_the_excess_is_squared_and_the_mean_is_over_samples(self):
        # f(z) = |z|**2 / 2 has slope |z|: at x these are 5 and 2, so (16 + 1) / 2.
        x = torch.tensor([[3.0, 4.0], [0.0, 2.0]])
        found = gradient_penalty(lambda z: z.square().sum(1) / 2, x, x, weight=1.0, between="x")
        assert found.item() == pytest.approx(8.5, rel=1e-6)

    def test_the_norm_is_per_sample_not_over_the_batch_or_one_axis(self):
        slope = torch.zeros(3, 4, 4)
        slope[0, 0, 0], slope[2, 3, 1] = (
            0.6,
            0.8,
        )  # norm 1; over the channel axis alone: 0.6, 0.8 and 14 zeros
        x = torch.zeros(7, 3, 4, 4)  # over the batch: 7**0.5

        def critic(z):
            return (z * slope).sum((1, 2, 3))

        assert gradient_penalty(critic, x, x + 1, generator=seeded()).item() == pytest.approx(0, abs=1e-10)

    def test_there_is_one_coefficient_a_sample(self):
        seen = []

        def critic(z):
            seen.append(z.detach())
            return z.flatten(1).sum(1)

        n = 500
        gradient_penalty(critic, torch.zeros(n, 2, 3), torch.ones(n, 2, 3), generator=seeded())
        t = seen[0].flatten(1)
        assert torch.equal(t, t[:, :1].expand_as(t))  # the same for all entries of a sample
        assert len(t[:, 0].unique()) > n - 5  # and another for each sample: not one scalar a batch
        assert t.min() >= 0 and t.max() <= 1
        # Uniform on (0, 1): standard deviation of the mean 0.013, of the variance 0.0033.
        assert t[:, 0].mean().item() == pytest.approx(0.5, abs=0.06)
        assert t[:, 0].var().item() == pytest.approx(1 / 12, abs=0.015)

    def test_points_lie_between_the_paired_samples(self):
        rng, seen = seeded(), []
        x, y = torch.randn(50, 4, generator=rng), torch.randn(50, 4, generator=rng)
        gradient_penalty(lambda z: seen.append(z.detach()) or z.sum(1), x, y, generator=rng)
        through = (seen[0] - x).norm(dim=1) + (seen[0] - y).norm(dim=1)
        torch.testing.assert_close(through, (x - y).norm(dim=1))

    @pytest.mark.parametrize("between", ["x", "y", "both"])
    def test_at_the_samples_their_numbers_may_differ(self, between):
        x, y = torch.full((3, 2), 2.0), torch.full((5, 2), 3.0)
        slopes = {"x": [8.0] * 3, "y": [18.0] * 5, "both": [8.0] * 3 + [18.0] * 5}[between]
        expected = sum((math.sqrt(s) - 1) ** 2 for s in slopes) / len(slopes)
        found = gradient_penalty(lambda z: z.square().sum(1) / 2, x, y, weight=1.0, between=between)
        assert found.item() == pytest.approx(expected, rel=1e-6)

    @pytest.mark.parametrize(("slope", "price"), [(0.5, 0.0), (1.0, 0.0), (3.0, 40.0)])
    def test_one_sided_charges_only_slopes_above_1(self, slope, price):
        x = torch.zeros(4, 1)
        assert gradient_penalty(lambda z: slope * z[:, 0], x, x + 1, sided="one").item() == price

    def test_a_generator_repeats_it_and_the_default_one_is_left_alone(self):
        x, y = torch.zeros(9, 2), torch.ones(9, 2)
        state = torch.random.get_rng_state()
        one, two, other = (
            gradient_penalty(lambda z: z.square().sum(1), x, y, generator=seeded(s)).item() for s in (1, 1, 2)
        )
        assert one == two != other
        assert torch.equal(torch.random.get_rng_state(), state)

    @pytest.mark.parametrize("column", [False, True])
    def test_it_is_part_of_the_graph_of_the_parameters(self, column):
        rng = seeded()
        critic, x, y = mlp(rng).double(), *(torch.randn(8, 3, generator=rng).double() for _ in range(2))

        def penalty():
            f = critic if column else lambda z: critic(z)[:, 0]
            return gradient_penalty(f, x, y, generator=seeded(5))

        penalty().backward()
        for parameter in critic.parameters():
            if parameter is critic[2].bias:
                assert parameter.grad is None or not parameter.grad.any()  # the last bias has no slope
                continue
            step = torch.zeros_like(parameter)
            step.view(-1)[0] = 1e-6
            with torch.no_grad():
                parameter += step
                above = penalty().item()
                parameter -= 2 * step
                below = penalty().item()
                parameter += step
            slope = (above - below) / 2e-6
            assert parameter.grad.view(-1)[0].item() == pytest.approx(slope, rel=1e-5)
            assert abs(slope) > 1e-3

    def test_samples_are_constants(self):
        x, y = torch.zeros(4, 2, requires_grad=True), torch.ones(4, 2, requires_grad=True)
        slope = torch.ones(2, requires_grad=True)
        gradient_penalty(lambda z: z.square() @ slope, x, y, generator=seeded()).backward()
        assert x.grad is None and y.grad is None and slope.grad is not None

    @pytest.mark.parametrize("sided", ["two", "one"])
    def test_a_gradient_of_0_gives_no_nan(self, sided):
        critic = nn.Linear(3, 1)
        nn.init.zeros_(critic.weight)
        x = torch.ones(4, 3)
        value = gradient_penalty(critic, x, x, weight=7.0, sided=sided, generator=seeded())
        value.backward()
        assert value.item() == (7.0 if sided == "two" else 0.0)
        assert torch.isfinite(critic.weight.grad).all()

    def test_a_critic_that_does_not_depend_on_x_costs_the_weight(self):
        level = torch.ones(1, requires_grad=True)
        x = torch.ones(4, 3)
        value = gradient_penalty(lambda z: level.expand(len(z)), x, x, weight=7.0, generator=seeded())
        value.backward()
        assert value.item() == 7.0 and level.grad.item() == 0.0

    def test_it_works_where_gradients_are_off(self):
        with torch.no_grad():
            found = gradient_penalty(lambda z: 3 * z[:, 0], torch.zeros(2, 1), torch.ones(2, 1))
        assert found.item() == 40.0

    @pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
    def test_under_autocast_it_is_what_it_is_without(self, dtype):
        rng = seeded()
        critic, x, y = mlp(rng), *(torch.randn(8, 3, generator=rng) for _ in range(2))
        expected = gradient_penalty(critic, x.to(dtype).float(), y.to(dtype).float(), generator=seeded(1))
        with torch.autocast("cpu", torch.bfloat16):
            assert critic(x).dtype == torch.bfloat16
            found = gradient_penalty(critic, x.to(dtype), y.to(dtype), generator=seeded(1))
        assert found.dtype == torch.float32 and found.item() == expected.item()
        found.backward()
        assert torch.isfinite(critic[0].weight.grad).all()

    def test_batch_norm_is_refused_while_it_trains(self):
        critic = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 1))
        x = torch.zeros(5, 3)
        with pytest.raises(InputError, match=r"'1' is a BatchNorm1d.*other samples"):
            gradient_penalty(critic, x, x + 1)
        gradient_penalty(critic.eval(), x, x + 1)
        without = nn.Sequential(nn.BatchNorm1d(3, track_running_stats=False), nn.Linear(3, 1)).eval()
        with pytest.raises(InputError, match="other samples"):
            gradient_penalty(without, x, x + 1)

    @pytest.mark.parametrize(
        ("critic", "words"),
        [
            (lambda z: z, "one number per sample"),
            (lambda z: z.sum(), "one number per sample"),
            (lambda z: z[:-1, 0], "one number per sample"),
            (lambda z: [1.0] * len(z), "one number per sample"),
            (lambda z: z[:, 0].detach(), "carry a gradient"),
        ],
    )
    def test_what_is_no_critic_is_refused(self, critic, words):
        with pytest.raises(InputError, match=words):
            gradient_penalty(critic, torch.zeros(3, 2), torch.ones(3, 2))

    @pytest.mark.parametrize(
        ("argument", "change"),
        [
            ("weight", {"weight": 0.0}),
            ("weight", {"weight": math.nan}),
            ("sided", {"sided": "three"}),
            ("between", {"between": "line"}),
            ("x", {"x": torch.zeros(3)}),
            ("x", {"x": torch.zeros(0, 2)}),
            ("x", {"x": torch.zeros(3, 2, dtype=torch.int64)}),
            ("y", {"y": torch.ones(4, 2)}),
            ("y", {"y": torch.ones(3, 5)}),
            ("y", {"y": torch.ones(3, 2, device="meta")}),
        ],
    )
    def test_wrong_arguments_are_named(self, argument, change):
        given = {"x": torch.zeros(3, 2), "y": torch.ones(3, 2)} | change
        with pytest.raises(InputError) as caught:
            gradient_penalty(lambda z: z[:, 0], **given)
        assert caught.value.argument == argument


class TestClipping:
    def test_parameters_are_clipped_in_place(self):
        critic = mlp(seeded())
        before = [(p, p.detach().clone()) for p in critic.parameters()]
        assert clip_weights(critic, 0.05) is None
        for parameter, old in before:
            assert torch.equal(parameter.detach(), old.clamp(-0.05, 0.05)) and parameter.requires_grad
        assert any((old.abs() > 0.05).any() for _, old in before)

    @pytest.mark.parametrize("bound", [0.0, -1.0, math.inf, math.nan])
    def test_a_bound_that_bounds_nothing_is_refused(self, bound):
        with pytest.raises(InputError, match="bound"):
            clip_weights(nn.Linear(1, 1), bound)


class TestCorrection:
    @pytest.mark.parametrize("weight", [0.1, 1.0, 10.0])
    @pytest.mark.parametrize("w", [0.0, 1e-12, 0.3, 50.0])
    def test_it_undoes_the_inflation(self, w, weight):
        assert corrected_gap(w + w * w / (2 * weight), weight) == pytest.approx(w, rel=1e-13)

    def test_tensors_keep_their_shape_and_gradient(self):
        gap = torch.tensor([0.1, 1.5, 12.0], dtype=torch.float64, requires_grad=True)
        found = corrected_gap(gap, 1.0)
        torch.testing.assert_close(found, (1 + 2 * gap).sqrt() - 1)
        assert torch.autograd.gradcheck(lambda g: corrected_gap(g, 1.0), gap)

    @pytest.mark.slow
    @pytest.mark.parametrize("sided", ["two", "one"])
    def test_it_recovers_w1_from_a_trained_critic(self, sided):
        # Two points at distance 3 and the critic s * z: the loss -(s W) + weight * (s - 1)**2, ascended.
        slope = torch.ones(1, requires_grad=True)
        x, y = torch.full((4, 1), 3.0), torch.zeros(4, 1)
        step = torch.optim.SGD([slope], lr=0.1)
        for _ in range(300):
            step.zero_grad()
            gap = (x @ slope).mean() - (y @ slope).mean()
            price = gradient_penalty(lambda z: z @ slope, x, y, weight=2.0, sided=sided, generator=seeded())
            (price - gap).backward()
            step.step()
        assert gap.item() == pytest.approx(3 + 9 / 4, rel=1e-5)
        assert corrected_gap(gap.item(), 2.0) == pytest.approx(3, rel=1e-5)

    @pytest.mark.parametrize(
        ("gap", "weight"), [(-1e-9, 1.0), (math.nan, 1.0), (1.0, 0.0), (torch.tensor([1.0, -1.0]), 1.0)]
    )
    def test_what_is_no_gap_is_refused(self, gap, weight):
        with pytest.raises(InputError):
            corrected_gap(gap, weight)


# dims, channels in, out, kernel, stride, padding, dilation, groups, size


class Functional(nn.Module):
    def __init__(self, f):
        super().__init__()
        self.layer, self.f = nn.Linear(3, 1), f

    def forward(self, x):
        return self.f(self.layer(x)).squeeze(-1)


class TestChecks:
    def test_a_critic_passes_and_is_left_alone(self):
        critic = unsettled(spectral_norm(mlp(seeded()), generator=seeded()))
        before = copy.deepcopy(critic.state_dict())
        assert checked_critic(critic, (3,)) is critic and critic.training
        assert all(torch.equal(v, before[k]) for k, v in critic.state_dict().items())
        inner = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1), nn.Flatten(0))
        assert checked_critic(inner, (3,)) is inner

    @pytest.mark.parametrize(
        ("last", "name"),
        [
            (nn.Sigmoid(), "sigmoid"),
            (nn.Tanh(), "tanh"),
            (nn.Softmax(dim=-1), "softmax"),
            (nn.LogSoftmax(dim=-1), "logsoftmax"),
            (nn.Hardtanh(), "hardtanh"),
            (nn.LogSigmoid(), "logsigmoid"),
        ],
        ids=str,
    )
    def test_squashed_scores_are_refused(self, last, name):
        with pytest.raises(InputError, match=f"ends in a {name}"):
            checked_critic(nn.Sequential(nn.Linear(3, 1), last), (3,))

    @pytest.mark.parametrize("f", [torch.sigmoid, torch.tanh])
    def test_they_are_seen_in_forward_too(self, f):
        with pytest.raises(InputError, match=f"ends in a {f.__name__}"):
            checked_critic(Functional(f), (3,))
        checked_critic(Functional(lambda s: 2 * f(s) + s), (3,))

    @pytest.mark.parametrize("training", [True, False])
    def test_batch_norm_is_refused(self, training):
        critic = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 1)).train(training)
        with pytest.raises(InputError, match=r"'1' is a BatchNorm1d.*other samples"):
            checked_critic(critic, (3,))

    def test_more_than_one_number_is_refused(self):
        with pytest.raises(InputError, match=r"got shape \(2, 2\) for 2 samples"):
            checked_critic(nn.Linear(3, 2), (3,))
