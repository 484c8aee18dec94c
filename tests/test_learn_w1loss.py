"""The learned loss: every estimator behind one call, judged by the exact one."""

import io

import pytest

import otdist
from otdist.errors import InputError

torch = pytest.importorskip("torch")
from otdist.learn import W1Loss  # noqa: E402

CERTAIN = ("orthogonal", "anchors", "spectral")
FREE = ("gp", "lp", "clip")


def clouds(n=96, d=3, shift=2.0, seed=0):
    """Fake and real points that differ by a shift."""
    generator = torch.Generator().manual_seed(seed)
    fake = torch.randn(n, d, generator=generator)
    real = torch.randn(n, d, generator=generator) + shift / d**0.5
    return fake.requires_grad_(), real


def exact(fake, real):
    return float(otdist.w1(fake.detach(), real).value)


@pytest.mark.parametrize("family", CERTAIN)
def test_certified_critics_never_overstate(family):
    fake, real = clouds()
    loss = W1Loss(family=family, inner_steps=10, anchors=16)
    values = [loss(fake, real).item() for _ in range(15)]
    top = exact(fake, real)
    assert max(values) <= top * (1 + 1e-5)
    least = 0.3 if family == "spectral" else 0.7
    assert values[-1] > least * top


@pytest.mark.parametrize("family", FREE)
def test_other_constraints_learn_too(family):
    fake, real = clouds()
    loss = W1Loss(family=family, inner_steps=10)
    first = loss(fake, real).item()
    values = [loss(fake, real).item() for _ in range(6)]
    assert values[-1] > max(first, 0.0)


@pytest.mark.parametrize("method", ["exact", "sinkhorn", "sliced", "critic"])
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


def test_gradient_of_a_learned_critic_points_as_the_exact_one():
    fake, real = clouds(n=256, d=2, shift=4.0)
    loss = W1Loss(inner_steps=50)
    for _ in range(8):
        value = loss(fake, real)
    (got,) = torch.autograd.grad(value, fake)
    (want,) = torch.autograd.grad(W1Loss("exact")(fake, real), fake)
    assert torch.nn.functional.cosine_similarity(got, want, dim=1).mean() > 0.9
    assert got.norm(dim=1).max() * len(fake) <= 1 + 1e-4  # 1-Lipschitz


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
    assert all(p.requires_grad for p in loss.parameters())


def test_overfitting_shows_on_held_out_points():
    generator = torch.Generator().manual_seed(1)
    fake, real, fake2, real2 = (torch.randn(24, 48, generator=generator) for _ in range(4))
    loss = W1Loss(inner_steps=200)
    learned = loss(fake, real).item()
    assert loss.heldout(fake2, real2) < 0.5 * learned


@pytest.mark.parametrize("family", ["orthogonal", "anchors", "gp", "spectral"])
def test_saved_state_goes_on_as_if_nothing_had_happened(family):
    fake, real = clouds()
    loss = W1Loss(family=family, anchors=16)
    for _ in range(3):
        loss(fake, real)
    file = io.BytesIO()
    torch.save(loss.state_dict(), file)
    file.seek(0)
    other = W1Loss(family=family, anchors=16)
    other.load_state_dict(torch.load(file, weights_only=True))
    if family == "gp":  # places of the penalty are counted from the start
        other.online.critic.draws = loss.online.critic.draws
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
    assert value.dtype == torch.bfloat16
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
        (lambda x, y: W1Loss()(torch.arange(5), y), "fake"),
        (lambda x, y: W1Loss()(x, torch.ones(5)), "real"),
        (lambda x, y: W1Loss()(x, y[:, :2]), "fake"),
        (lambda x, y: W1Loss()(x[:0], y), "fake"),
        (lambda x, y: W1Loss()(x, y * torch.nan), "real"),
        (lambda x, y: W1Loss("exact").heldout(x, y), "method"),
        (lambda x, y: W1Loss("sliced").refresh(x, y), "method"),
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
    with pytest.raises(InputError, match="before 3"):
        loss(fake[:, :2], real[:, :2])


def test_equal_batches_have_a_loss_of_nothing():
    _, real = clouds()
    assert W1Loss()(real, real).item() == pytest.approx(0.0, abs=1e-6)
    one = torch.zeros(4, 2)
    assert W1Loss()(one, one).item() == 0.0
