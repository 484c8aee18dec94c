"""Convolutional networks of images that are 1-Lipschitz by construction."""

from __future__ import annotations

import math

import pytest
import torch

import otdist
from otdist.errors import InputError
from otdist.learn import OrthogonalConv, W1Loss, fit_wgan, lipschitz_constant

SHAPES = [(28, 28), (1, 28, 28), (3, 32, 32), (3, 17, 13), (2, 5, 1), (3, 64, 64)]


def stream(seed=0):
    return torch.Generator().manual_seed(seed)


def make_pair(shape, extra=0, packs=1, n=6):
    """Points of two samples that differ by a shift of one of them."""
    d = packs * (math.prod(shape) + extra)
    x, y = torch.randn(2 * n, d, generator=stream(1)).split(n)
    return x, y + 0.3


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_values_differ_by_at_most_the_distance(shape):
    critic = OrthogonalConv(shape, width=64, generator=stream()).double()
    critic.retract()  # random matrices are orthogonal to float32
    x, y = (part.double() for part in make_pair(shape, n=20))
    for near in (1.0, 1e-3):
        other = x + near * (y - x)
        slope = (critic(x) - critic(other)).abs() / (x - other).norm(dim=1)
        assert float(slope.detach().max()) <= critic.lipschitz() <= 1 + 1e-6


def test_trained_with_any_step_it_is_1_lipschitz_after_a_retraction():
    critic = OrthogonalConv((1, 12, 12), width=32, generator=stream())
    x, y = make_pair((1, 12, 12), n=64)
    optimiser = torch.optim.Adam(critic.parameters(), 0.01)
    before = float((critic(y).mean() - critic(x).mean()).detach())
    for _ in range(60):
        loss = critic(x).mean() - critic(y).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        critic.retract()
    gap = float((critic(y).mean() - critic(x).mean()).detach())
    exact = float(otdist.w1(x, y))
    assert critic.lipschitz() == pytest.approx(1.0, abs=1e-5)
    assert before < 0.5 * gap < gap <= exact * critic.lipschitz() * (1 + 1e-6)


def test_gradients_have_norm_one_where_no_matrix_drops_columns():
    critic = OrthogonalConv((4, 4), width=32, generator=stream()).double()  # 16 pixels, and 32 units
    x = torch.randn(50, 16, generator=stream(1)).double().requires_grad_()
    (gradient,) = torch.autograd.grad(critic(x).sum(), x)
    assert float(gradient.norm(dim=1).max()) <= 1 + 1e-9
    weights = [w for w in critic.weights if w.shape[0] < w.shape[1]]
    assert not weights
    # The head is a vector of norm 1 in more dimensions than the image has.
    assert float(gradient.norm(dim=1).min()) > 0.2


@pytest.mark.parametrize("shape", [(1, 4, 4), (2, 3, 5)], ids=str)
def test_second_derivatives_agree_with_differences(shape):
    critic = OrthogonalConv(shape, width=4, generator=stream()).double()
    x = make_pair(shape, n=2)[0].double().requires_grad_()
    assert torch.autograd.gradcheck(critic, (x,))
    assert torch.autograd.gradgradcheck(critic, (x,), atol=1e-4)  # 0 but at folds, as for other folds


def test_a_pixel_moves_by_a_shift_in_each_direction():
    from otdist.learn.critics.families.orthogonal_conv import _shift

    images = torch.randn(2, 5, 7, 16, generator=stream())
    moved = _shift(images, 1)
    torch.testing.assert_close(_shift(moved, -1), images, rtol=0, atol=0)
    assert torch.equal(moved.flatten().sort().values, images.flatten().sort().values)
    torch.testing.assert_close(moved[:, 1:, :, :2], images[:, :-1, :, :2], rtol=0, atol=0)
    torch.testing.assert_close(moved[:, :, :-1, 6:8], images[:, :, 1:, 6:8], rtol=0, atol=0)
    torch.testing.assert_close(moved[..., 8:], images[..., 8:], rtol=0, atol=0)


def test_images_may_be_flat_or_not():
    critic = OrthogonalConv((3, 8, 8), generator=stream())
    images = torch.randn(4, 3, 8, 8, generator=stream(1))
    torch.testing.assert_close(critic(images), critic(images.flatten(1)), rtol=0, atol=0)


def test_extra_columns_and_packs_count():
    critic = OrthogonalConv((8, 8), extra=3, packs=2, generator=stream()).double()
    rows = torch.randn(5, 2 * 67, generator=stream(1)).double().requires_grad_()
    (gradient,) = torch.autograd.grad(critic(rows).sum(), rows)
    parts = gradient.view(5, 2, 67).split([64, 3], 2)
    assert all(float(part.norm(dim=2).min()) > 0 for part in parts)
    assert float(gradient.norm(dim=1).max()) <= 1 + 1e-6


def test_the_same_seed_gives_the_same_network():
    one, other = (OrthogonalConv((8, 8), generator=stream(4)) for _ in range(2))
    assert all(torch.equal(p, q) for p, q in zip(one.parameters(), other.parameters(), strict=True))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"shape": (8,)}, "shape: must be"),
        ({"shape": (3, 8, 0)}, "shape: must be"),
        ({"shape": (8, 8), "width": 0}, "width: must be"),
        ({"shape": (8, 8), "extra": -1}, "extra: must be"),
        ({"shape": (8, 8), "packs": 0}, "packs: must be"),
    ],
)
def test_bad_sizes_are_refused(options, message):
    with pytest.raises(InputError, match=message):
        OrthogonalConv(**options)


def test_rows_of_another_length_are_refused():
    critic = OrthogonalConv((8, 8))
    with pytest.raises(InputError, match=r"z: must have 64 numbers a row, got 60"):
        critic(torch.zeros(2, 60))


def test_losses_and_the_trainer_take_it():
    critic = OrthogonalConv((1, 8, 8), width=16, generator=stream())
    fake, real = (part.view(-1, 1, 8, 8) for part in make_pair((1, 8, 8), n=32))
    loss = W1Loss(critic=critic, inner_steps=30)
    value, exact = float(loss(fake, real)), float(otdist.w1(fake.flatten(1), real.flatten(1)))
    assert 0.3 * exact < value <= exact * (1 + 1e-5)
    again = OrthogonalConv((1, 8, 8), width=16, generator=stream())
    run = fit_wgan(real.detach().numpy(), critic=again, steps=4, check_every=4, batch_size=8)
    assert run.settings.constraint == "own" and run.w1.lower <= run.w1.upper
    assert lipschitz_constant(torch.nn.Sequential(torch.nn.Flatten(), again)) == pytest.approx(1, abs=1e-5)


def test_a_step_of_the_trainer_turns_small_and_large_matrices_alike():
    critic = OrthogonalConv((1, 16, 16), width=64, generator=stream())
    before = [w.detach().clone() for w in critic.weights]
    data = torch.randn(64, 1, 16, 16, generator=stream(1)).numpy()
    run = fit_wgan(data, critic=critic, steps=1, check_every=1, batch_size=32)
    angles = torch.tensor(
        [float((w.detach() - old).norm() / old.norm()) for w, old in zip(critic.weights, before, strict=True)]
    )
    assert run.steps == 1 and float(angles.max() / angles.min()) < 8
    assert min(w.numel() for w in critic.weights) * 100 < max(w.numel() for w in critic.weights)
