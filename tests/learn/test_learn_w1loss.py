"""The learned loss: every estimator behind one call, judged by the exact one."""

import copy
import io

import pytest
import torch
from networks import drawn, mlp, own_generator, seeded  # noqa: F401
from scipy.optimize import linear_sum_assignment
from torch import nn

import otdist
from otdist.errors import InputError
from otdist.learn import Anchors, Orthogonal, W1Loss

CERTAIN = ("orthogonal", "anchors", "pieces", "spectral")
FREE = ("gp", "lp", "clip")
METHODS = ("exact", "sinkhorn", "sliced", "critic")


def clouds(n=96, d=3, shift=2.0, seed=0):
    """Fake and real points that differ by a shift."""
    generator = torch.Generator().manual_seed(seed)
    fake = torch.randn(n, d, generator=generator)
    real = torch.randn(n, d, generator=generator) + shift / d**0.5
    return fake.requires_grad_(), real


def mlp_of_points():
    return drawn(nn.Sequential(nn.Linear(2, 8), nn.Tanh(), nn.Linear(8, 3)), seeded())


def exact(fake, real):
    return float(otdist.w1(fake.detach(), real).value)


@pytest.mark.slow
@pytest.mark.parametrize("family", CERTAIN)
def test_certified_critics_never_overstate(family):
    fake, real = clouds()
    loss = W1Loss(family=family, inner_steps=10, anchors=16)
    values = [loss(fake, real).item() for _ in range(15)]
    top = exact(fake, real)
    assert max(values) <= top * (1 + 1e-5)
    least = 0.3 if family == "spectral" else 0.7
    assert values[-1] > least * top


@pytest.mark.slow
@pytest.mark.parametrize("family", FREE)
def test_other_constraints_learn_too(family):
    fake, real = clouds()
    loss = W1Loss(family=family, inner_steps=10)
    first = loss(fake, real).item()
    values = [loss(fake, real).item() for _ in range(6)]
    assert values[-1] > max(first, 0.0)


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS)
def test_descent_brings_the_samples_together(method):
    fake, real = clouds(n=64, d=2)
    before = exact(fake, real)
    loss = W1Loss(method, inner_steps=10) if method == "critic" else W1Loss(method)
    optimiser = torch.optim.Adam([fake], lr=0.1)
    for _ in range(40):
        optimiser.zero_grad()
        loss(fake, real).backward()
        optimiser.step()
    assert exact(fake, real) < 0.5 * before


def test_exact_is_the_front_door():
    fake, real = clouds()
    value = W1Loss("exact")(fake, real)
    want = otdist.w1(fake, real).value
    assert value.item() == pytest.approx(want.item(), rel=1e-6)
    (got,) = torch.autograd.grad(value, fake)
    (expected,) = torch.autograd.grad(want, fake)
    assert torch.allclose(got, expected.to(got), atol=1e-7)


# Mean cosine with the exact gradient; a critic sees the batch for 400 steps.
@pytest.mark.slow
@pytest.mark.parametrize(
    ("build", "least"),
    [
        (lambda: W1Loss("exact"), 0.9999),
        (lambda: W1Loss("sinkhorn", eps=0.002, debias=False), 0.99),
        (lambda: W1Loss("sliced", n_projections=400), 0.9),
        (lambda: W1Loss(inner_steps=400), 0.9),
        (lambda: W1Loss(family="anchors", anchors=24, inner_steps=400), 0.9),
        (lambda: W1Loss(family="pieces", anchors=8, inner_steps=400), 0.9),
        (lambda: W1Loss(family="spectral", inner_steps=400), 0.85),
        (lambda: W1Loss(family="gp", inner_steps=400), 0.9),
        (lambda: W1Loss(family="lp", inner_steps=400), 0.9),
        (lambda: W1Loss(family="clip", inner_steps=400), 0.8),
    ],
)
def test_gradients_point_as_those_of_an_optimal_assignment(build, least):
    fake, real = clouds(n=24, d=2, shift=3.0)
    (got,) = torch.autograd.grad(build()(fake, real), fake)
    rows, cols = linear_sum_assignment(torch.cdist(fake.detach(), real).numpy())
    assert (rows == range(24)).all()
    want = nn.functional.normalize(fake.detach() - real[cols]) / 24
    cosine = nn.functional.cosine_similarity(got, want, dim=1)
    assert cosine.mean() > least


@pytest.mark.parametrize("family", CERTAIN)
def test_a_certified_gradient_has_norm_one_at_most(family):
    fake, real = clouds(n=40, d=2)
    (got,) = torch.autograd.grad(W1Loss(family=family, anchors=16, inner_steps=50)(fake, real), fake)
    assert got.norm(dim=1).max() * len(fake) <= 1 + 1e-4


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS)
def test_a_compiled_step_and_an_eager_one_agree(method):
    z, real = torch.randn(20, 2, generator=seeded(1)), torch.randn(20, 3, generator=seeded(2)) + 1.0

    def run(compiled):
        generator, loss = mlp_of_points(), W1Loss(method)
        optimiser = torch.optim.SGD(generator.parameters(), lr=0.1)
        forward = lambda: loss(generator(z), real)  # noqa: E731
        if compiled:
            forward = torch.compile(forward, backend="aot_eager")
        found = []
        for _ in range(3):
            optimiser.zero_grad()
            value = forward()
            value.backward()
            optimiser.step()
            found += [value.detach(), *(p.detach().clone() for p in generator.parameters())]
        return found

    for one, other in zip(run(False), run(True), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("method", METHODS)
def test_under_autocast_the_loss_is_what_it_is_without(method):
    z, real = torch.randn(20, 2, generator=seeded(1)), torch.randn(20, 3, generator=seeded(2)) + 1.0
    generator, losses = mlp_of_points(), [W1Loss(method) for _ in range(3)]
    with torch.autocast("cpu", torch.bfloat16):
        fake = generator(z)
        value = losses[0](fake, real)
    assert fake.dtype == torch.bfloat16 and value.dtype == torch.float32
    assert value.item() == losses[1](fake.float(), real).item()
    value.backward()
    low = torch.cat([p.grad.flatten() for p in generator.parameters()])
    generator.zero_grad()
    losses[2](generator(z), real).backward()
    full = torch.cat([p.grad.flatten() for p in generator.parameters()])
    assert nn.functional.cosine_similarity(low, full, dim=0) > 0.99


def test_value_is_the_mean_difference_of_the_critic():
    fake, real = clouds()
    loss = W1Loss(family="anchors", anchors=16)
    loss(fake, real)
    loss.freeze()
    value, again = loss(fake, real), loss(fake.detach() + 1.0, real)
    assert value.item() == loss.heldout(fake, real)
    assert value.item() != again.item()
    assert loss(real, fake.detach()).item() == pytest.approx(-value.item(), rel=1e-5)


def test_inner_steps_are_counted_and_freeze_stops_them():
    fake, real = clouds()
    loss = W1Loss(inner_steps=7)
    loss(fake, real)
    assert (loss.online.get_extra_state()["steps"], loss.staleness) == (7, 0)
    loss.freeze()
    before = {k: v.clone() for k, v in loss.state_dict().items() if torch.is_tensor(v)}
    loss(fake, real)
    loss(fake, real)
    assert loss.staleness == 2
    assert all(torch.equal(v, loss.state_dict()[k]) for k, v in before.items())
    loss.freeze(False)
    loss.eval()
    loss(fake, real)
    assert (loss.online.get_extra_state()["steps"], loss.staleness) == (7, 3)
    loss.refresh(fake, real, steps=3)
    assert (loss.online.get_extra_state()["steps"], loss.staleness) == (10, 0)


def test_the_critic_gets_no_gradient_from_the_caller():
    fake, real = clouds()
    loss = W1Loss()
    loss(fake, real).backward()
    loss.zero_grad()
    loss.freeze()
    loss(fake, real).backward()
    assert all(p.grad is None for p in loss.parameters())
    assert not any(p.requires_grad for p in loss.parameters())


@pytest.mark.slow
def test_overfitting_shows_on_held_out_points():
    generator = torch.Generator().manual_seed(1)
    fake, real, fake2, real2 = (torch.randn(24, 48, generator=generator) for _ in range(4))
    loss = W1Loss(inner_steps=200)
    learned = loss(fake, real).item()
    assert loss.heldout(fake2, real2) < 0.5 * learned


@pytest.mark.parametrize("method", METHODS)
def test_held_out_batches_change_nothing(method):
    fake, real = clouds(n=20)
    loss = W1Loss(method)
    loss(fake, real)
    before = copy.deepcopy(loss.state_dict())
    value = loss.heldout(fake, real)
    after = loss.state_dict()
    assert str(before) == str(after)
    if method != "critic":
        assert value == loss.eval().heldout(fake, real)
    loss.refresh(fake, real, steps=2)
    assert (str(before) == str(loss.state_dict())) == (method != "critic")


BUILDS = {
    **{family: lambda family=family: W1Loss(family=family, anchors=16) for family in (*CERTAIN, *FREE)},
    "own": lambda: W1Loss(critic=mlp(seeded(3))),
    "own, gp": lambda: W1Loss(critic=mlp(seeded(3)), family="gp"),
    "ours": lambda: W1Loss(critic=Orthogonal(3, width=16, activation="groupsort", generator=seeded(3))),
    "sliced": lambda: W1Loss("sliced", n_projections=4),
}


@pytest.mark.slow
@pytest.mark.parametrize("build", BUILDS.values(), ids=BUILDS)
def test_saved_state_goes_on_as_if_nothing_had_happened(build):
    fake, real = clouds()
    loss = build()
    for _ in range(3):
        loss(fake, real)
    file = io.BytesIO()
    torch.save(loss.state_dict(), file)
    file.seek(0)
    other = build()
    other.load_state_dict(torch.load(file, weights_only=True))
    loss.eval()
    other.eval()
    assert loss(fake, real).item() == other(fake, real).item()
    assert loss.staleness == other.staleness
    loss.train()
    other.train()
    for _ in range(3):
        assert loss(fake, real).item() == other(fake, real).item()


def test_images_series_and_half_precision():
    generator = torch.Generator().manual_seed(0)
    fake = torch.rand(16, 1, 4, 4, generator=generator).to(torch.bfloat16).requires_grad_()
    real = torch.rand(20, 1, 4, 4, generator=generator).to(torch.bfloat16)
    loss = W1Loss()
    with torch.autocast("cpu", torch.bfloat16):
        value = loss(fake, real)
    value.backward()
    assert value.dtype == torch.float32
    assert fake.grad.shape == fake.shape
    assert torch.isfinite(fake.grad).all()


def test_the_callers_random_numbers_are_left_alone():
    fake, real = clouds()
    state = torch.random.get_rng_state()
    for family in ("orthogonal", "anchors", "gp", "spectral"):
        W1Loss(family=family, anchors=8)(fake, real)
    assert torch.equal(state, torch.random.get_rng_state())


@pytest.mark.parametrize(
    ("call", "argument"),
    [
        (lambda x, y: W1Loss("magic"), "method"),
        (lambda x, y: W1Loss(family="magic"), "family"),
        (lambda x, y: W1Loss(inner_steps=0), "inner_steps"),
        (lambda x, y: W1Loss(anchors=True), "anchors"),
        (lambda x, y: W1Loss(eps=0.1), "eps"),
        (lambda x, y: W1Loss(rate=0.0), "rate"),
        (lambda x, y: W1Loss()(torch.arange(5), y), "fake"),
        (lambda x, y: W1Loss()(x, torch.ones(5)), "real"),
        (lambda x, y: W1Loss()(x, y[:, :2]), "fake"),
        (lambda x, y: W1Loss()(x[:0], y), "fake"),
        (lambda x, y: W1Loss()(x, y * torch.nan), "real"),
        (lambda x, y: W1Loss().heldout(x, y), "fake"),
        (lambda x, y: W1Loss().refresh(x, y, steps=0), "steps"),
        (lambda x, y: W1Loss(critic=torch.nn.functional.relu), "critic"),
        (lambda x, y: W1Loss("exact", critic=nn.Linear(3, 1)), "critic"),
        (lambda x, y: W1Loss(critic=nn.Linear(3, 1), family="anchors"), "family"),
        (lambda x, y: W1Loss(critic=Orthogonal(3), family="gp"), "family"),
    ],
)
def test_bad_input_is_named(call, argument):
    fake, real = clouds(n=8)
    with pytest.raises(InputError) as error:
        call(fake, real)
    assert error.value.argument == argument


def test_points_of_another_shape_than_before_are_refused():
    fake, real = clouds(n=8)
    loss = W1Loss()
    loss(fake, real)
    with pytest.raises(InputError, match=r"must have points of shape \(3,\)"):
        loss(fake[:, :2], real[:, :2])


def test_equal_batches_have_a_loss_of_nothing():
    _, real = clouds()
    assert W1Loss()(real, real).item() == pytest.approx(0.0, abs=1e-6)
    one = torch.zeros(4, 2)
    assert W1Loss()(one, one).item() == 0.0


class Distance(nn.Module):
    """A critic that holds itself: the distance to a point that it learns."""

    def __init__(self):
        super().__init__()
        self.at = nn.Parameter(torch.zeros(3))

    def forward(self, z):
        return 2.0 * (z - self.at).norm(dim=1)

    def lipschitz(self):
        return 2.0

    def retract(self):
        with torch.no_grad():
            self.at.clamp_(-3.0, 3.0)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("critic", "family", "least"),
    [
        (lambda: mlp(seeded(), activation=nn.ReLU), None, 0.1),
        (lambda: mlp(seeded(), activation=nn.ReLU), "spectral", 0.1),
        (Distance, None, 0.5),
        (lambda: Orthogonal(3, width=16, activation="groupsort", generator=seeded()), None, 0.5),
        (lambda: Anchors(torch.randn(8, 3, generator=seeded())), None, 0.5),
    ],
)
def test_an_own_critic_with_a_constant_never_overstates(critic, family, least):
    fake, real = clouds()
    network = critic()
    before = copy.deepcopy(network.state_dict())
    loss = W1Loss(critic=network, family=family, inner_steps=20, rate=0.02)
    values = [loss(fake, real).item() for _ in range(10)]
    assert max(values) <= exact(fake, real) * (1 + 1e-5)
    assert values[-1] > least * exact(fake, real)
    assert any(not torch.equal(v, before[k]) for k, v in network.state_dict().items() if k in before)


@pytest.mark.parametrize("family", FREE)
def test_an_own_critic_of_images_learns_under_any_constraint(family):
    generator = seeded()
    fake, real = (torch.rand(16, 1, 4, 4, generator=generator) + shift for shift in (0.0, 0.5))
    network = nn.Sequential(nn.Conv2d(1, 4, 3), nn.SiLU(), nn.Dropout(0.1), nn.Flatten(), nn.Linear(16, 1))
    loss = W1Loss(critic=drawn(network, generator), family=family, inner_steps=10, rate=0.01)
    values = [loss(fake.requires_grad_(), real) for _ in range(6)]
    assert values[-1] > max(values[0].item(), 0.0)
    if family == "clip":
        assert max(p.abs().max() for p in network.parameters()) <= 0.04 + 1e-6
    values[-1].backward()
    assert fake.grad.shape == fake.shape and fake.grad.abs().sum() > 0
    loss.freeze()
    assert loss(fake, real).item() == loss(fake, real).item()  # dropout is at rest


@pytest.mark.parametrize(
    ("network", "family", "reason"),
    [
        (lambda: nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 1)), "gp", "BatchNorm1d"),
        (lambda: nn.Sequential(nn.Linear(3, 1), nn.Tanh()), "lp", "ends in a tanh"),
        (lambda: nn.Linear(3, 2), "gp", "one number per sample"),
        (lambda: nn.Linear(4, 1), "clip", "must take points of shape"),
        (lambda: Orthogonal(4), None, "must take points of shape"),
        (lambda: nn.Linear(3, 1).double(), "gp", "float64"),
        (lambda: nn.Sequential(nn.Linear(3, 4), nn.LayerNorm(4), nn.Linear(4, 1)), None, "LayerNorm"),
    ],
)
def test_networks_that_are_no_critics_are_refused_with_the_reason(own_generator, network, family, reason):  # noqa: F811
    with pytest.raises(InputError, match=reason):
        W1Loss(critic=network(), family=family)(*clouds(n=8))


def test_all_rows_count_where_batches_differ_in_size():
    fake, real = clouds(n=60)
    loss = W1Loss()
    loss(fake, real)
    twin = copy.deepcopy(loss)
    value, turned = loss(fake[:20], real), twin(fake[:20], real.flip(0))
    assert turned.item() == pytest.approx(value.item(), rel=1e-3)
