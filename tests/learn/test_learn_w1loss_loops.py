"""W1Loss in training loops of others: their optimisers, modes, precisions, wrappers and checkpoints."""

import copy
import os

import pytest
import torch
from networks import drawn, mlp, seeded
from torch import nn

import otdist
from otdist.errors import InputError
from otdist.learn import Orthogonal, W1Loss

FAMILIES = ("orthogonal", "anchors", "pieces", "spectral", "gp", "lp", "clip")
BUILDS = {
    **{family: lambda family=family: W1Loss(family=family, anchors=8, inner_steps=2) for family in FAMILIES},
    "own": lambda: W1Loss(critic=mlp(seeded(3)), inner_steps=2),
    "own, gp": lambda: W1Loss(critic=mlp(seeded(3)), family="gp", inner_steps=2),
    "ours": lambda: W1Loss(critic=Orthogonal(3, width=16, generator=seeded(3)), inner_steps=2),
}
METHODS = ("exact", "sinkhorn", "sliced", "critic")
every_critic = pytest.mark.parametrize("build", BUILDS.values(), ids=BUILDS)
Z = torch.randn(24, 2, generator=seeded(1))
REAL = torch.randn(20, 3, generator=seeded(2)) + 1.0


class Net(nn.Module):
    """A generator that keeps its loss, as in Lightning."""

    def __init__(self, loss):
        super().__init__()
        self.generator = drawn(nn.Sequential(nn.Linear(2, 8), nn.Tanh(), nn.Linear(8, 3)), seeded())
        self.loss = loss

    def forward(self, z, real=REAL):
        return self.loss(self.generator(z), real)


def resumed(build):
    """A net from a checkpoint, whose critic has parameters before the first call."""
    net = Net(build())
    net(Z)
    other = Net(build())
    other.load_state_dict(net.state_dict())
    return other


def critic_state(loss):
    return [tensor.clone() for tensor in loss.online.critic.state_dict().values()]


def train(net, parameters, steps=3, backward=lambda value: value.backward()):
    """The usual order of a loop; the values on the way."""
    optimiser = torch.optim.AdamW(parameters, lr=0.01, weight_decay=0.1)
    values = []
    for _ in range(steps):
        optimiser.zero_grad()
        value = net(Z)
        backward(value)
        optimiser.step()
        values.append(value.item())
    return values


class TestGradientsOfTheCritic:
    @every_critic
    def test_none_are_left_by_any_call(self, build):
        net = resumed(build)
        loss = net.loss
        calls = [
            lambda: net(Z),
            lambda: net(Z).backward(),
            lambda: loss.refresh(Z @ torch.ones(2, 3), REAL, steps=2),
            lambda: loss.heldout(REAL, REAL),
            lambda: loss.eval()(net.generator(Z), REAL).backward(),
        ]
        for call in calls:
            call()
            assert all(p.grad is None and not p.requires_grad for p in loss.parameters())

    @every_critic
    def test_an_outer_optimiser_does_not_move_it(self, build):
        one, other = resumed(build), resumed(build)
        assert len(list(one.parameters())) > len(list(one.generator.parameters()))
        assert train(one, one.parameters()) == train(other, other.generator.parameters())
        for here, there in zip(critic_state(one.loss), critic_state(other.loss), strict=True):
            assert torch.equal(here, there)

    @every_critic
    def test_clipping_counts_the_generator_only(self, build):
        net = resumed(build)
        net.loss.requires_grad_(True)  # as GAN loops do with all networks
        net(Z).backward()
        expected = torch.stack([p.grad.norm() for p in net.generator.parameters()]).norm()
        assert nn.utils.clip_grad_norm_(net.parameters(), 1e9).item() == pytest.approx(expected.item())

    def test_layers_that_the_caller_froze_are_not_trained(self):
        network = mlp(seeded(3))
        network[0].requires_grad_(False)
        before = copy.deepcopy(network[0].state_dict())
        loss = W1Loss(critic=network, family="gp")
        loss(Z @ torch.ones(2, 3), REAL)
        assert all(torch.equal(value, before[name]) for name, value in network[0].state_dict().items())
        W1Loss(critic=network, family="gp")(Z @ torch.ones(2, 3), REAL)  # again, in another loss


class TestModes:
    @pytest.mark.parametrize("mode", [torch.inference_mode, torch.no_grad])
    @every_critic
    def test_validation_before_training(self, build, mode):
        net = Net(build())
        net.eval()
        with mode():
            net(Z)
        net.train()
        assert not any(t.is_inference() for t in (*net.parameters(), *net.buffers()))
        before = copy.deepcopy(net.generator.state_dict())
        train(net, net.parameters())
        assert any(not torch.equal(v, before[k]) for k, v in net.generator.state_dict().items())

    @pytest.mark.parametrize("mode", [torch.inference_mode, torch.no_grad])
    def test_train_and_eval_decide_whether_the_critic_is_trained(self, mode):
        net, twin = Net(W1Loss()), Net(W1Loss())
        with mode():
            value = net(Z)
            steps = net.loss.online.get_extra_state()["steps"]
            net.eval()(Z)
            assert net.loss.online.get_extra_state()["steps"] == steps == 5
        assert value.item() == twin(Z).item()

    def test_a_checkpoint_may_be_loaded_in_inference_mode(self):
        net = Net(W1Loss())
        net(Z)
        other = Net(W1Loss())
        with torch.inference_mode():
            other.load_state_dict(net.state_dict())
        assert train(other, other.parameters()) == train(net, net.parameters())

    @pytest.mark.slow
    def test_lightning_validates_before_it_fits(self, tmp_path):
        lightning = pytest.importorskip("lightning")

        class Module(lightning.LightningModule):
            def __init__(self):
                super().__init__()
                self.net = Net(W1Loss())

            def training_step(self, batch, _):
                return self.net(*batch)

            def validation_step(self, batch, _):
                self.log("w1", self.net(*batch))

            def configure_optimizers(self):
                return torch.optim.Adam(self.parameters(), lr=0.01)

        loader = torch.utils.data.DataLoader(
            torch.utils.data.TensorDataset(Z[:20], REAL), batch_size=10, num_workers=0
        )
        trainer = lightning.Trainer(
            max_epochs=2,
            accelerator="cpu",
            logger=False,
            enable_progress_bar=False,
            default_root_dir=tmp_path,
        )
        module = Module()
        trainer.validate(module, loader)
        trainer.fit(module, loader, loader)
        assert module.net.loss.online.get_extra_state()["steps"] == 20
        assert module.net.loss.online.critic.lipschitz() == pytest.approx(1.0, abs=1e-5)


class TestPrepare:
    @every_critic
    def test_it_makes_what_the_first_call_would(self, build):
        fake = Net(None).generator(Z)
        loss, twin = build().prepare(REAL, fake), build()
        assert list(loss.parameters()) and loss.online.get_extra_state()["steps"] == 0
        assert loss(fake, REAL).item() == twin(fake, REAL).item()

    def test_real_points_alone_give_the_frame(self):
        loss = W1Loss().prepare(REAL)
        assert torch.allclose(loss.online.centre, REAL.mean(0))
        assert 0.5 < float(loss.online.unit) < 2.0
        before = copy.deepcopy(loss.state_dict())
        assert loss.prepare(REAL + 5.0) is loss  # the frame stays
        assert str(loss.state_dict()) == str(before)
        with pytest.raises(InputError, match="must have points of shape"):
            loss.prepare(REAL[:, :2])

    @pytest.mark.parametrize("method", METHODS[:3])
    def test_other_estimators_take_the_same_call(self, method):
        assert not list(W1Loss(method).prepare(REAL).parameters())
        with pytest.raises(InputError, match="real"):
            W1Loss(method).prepare(torch.zeros(4, dtype=torch.int64))

    def test_an_average_of_weights_and_a_conversion_see_it(self):
        net = Net(W1Loss().prepare(REAL))
        average = torch.optim.swa_utils.AveragedModel(net)
        train(net, net.parameters())
        average.update_parameters(net)
        net.double()
        assert net(Z.double(), REAL.double()).dtype == torch.float64
        assert all(p.dtype == torch.float32 for p in net.loss.parameters())

    def test_the_optimiser_moves_with_the_critic(self):
        loss = W1Loss()
        loss(REAL + 1.0, REAL)
        loss.to("meta")
        states = loss.online._training.optimiser.state.values()
        assert {t.device.type for s in states for t in s.values() if torch.is_tensor(t)} == {"meta"}
        with pytest.raises(InputError, match=r"must be on meta like the critic.*\.to\(device\)"):
            loss(REAL, REAL)


class TestWeights:
    @pytest.mark.parametrize("method", METHODS)
    @pytest.mark.parametrize("family", FAMILIES)
    def test_whole_weights_are_repeated_points(self, method, family):
        if method != "critic" and family != "orthogonal":
            pytest.skip("has no family")
        options = {"family": family, "anchors": 4} if method == "critic" else {}
        fake, counts = REAL[:6] - 1.0, torch.tensor([1, 2, 1, 3, 0, 1])
        loss = W1Loss(method, **options)
        loss(fake, REAL)
        loss.eval()
        twin = copy.deepcopy(loss)
        weighted = loss(fake, REAL, counts.float() / 7, None).item()
        repeated = twin(fake.repeat_interleave(counts, 0), REAL).item()
        assert weighted == pytest.approx(repeated, rel=1e-3 if method == "sinkhorn" else 1e-5, abs=1e-5)
        back = copy.deepcopy(loss).heldout(REAL, fake, b=counts)
        assert back == pytest.approx(
            copy.deepcopy(loss).heldout(REAL, fake.repeat_interleave(counts, 0)), rel=1e-3
        )

    @pytest.mark.parametrize("family", ["orthogonal", "anchors", "spectral", "clip"])
    def test_a_critic_trains_as_on_repeated_points(self, family):
        fake, counts = REAL[:6] - 1.0, torch.tensor([1, 2, 1, 3, 1, 1])
        loss = W1Loss(family=family, anchors=4).prepare(REAL, fake)
        twin = copy.deepcopy(loss)
        for _ in range(3):
            weighted = loss(fake, REAL, counts.double())
            repeated = twin(fake.repeat_interleave(counts, 0), REAL)
        assert weighted.item() == pytest.approx(repeated.item(), rel=1e-3)

    @every_critic
    def test_rows_of_padding_do_not_count(self, build):
        fake, weights = REAL[:12] - 1.0, torch.cat([torch.ones(12), torch.zeros(5)])
        loss, twin = build(), build()
        padded = torch.cat([fake, torch.full((5, 3), 100.0)])
        values = loss(padded, REAL, weights).item(), twin(fake, REAL).item()
        assert torch.equal(loss.online.centre, twin.online.centre)
        if getattr(loss.online.critic, "constraint", None) not in ("gp", "lp"):  # whose penalty has its lines
            assert values[0] == pytest.approx(values[1], rel=1e-4)

    @pytest.mark.parametrize("method", METHODS)
    def test_gradients_in_weights_are_those_of_differences(self, method):
        real = REAL.double()
        fake, way = real[:6] - 1.0, torch.tensor([1.0, -1.0, 0.5, 0.0, -0.5, 0.25]).double()
        loss = W1Loss(method, **({"tol": 1e-9, "eps_abs": 0.05} if method == "sinkhorn" else {}))
        loss(fake, real)
        loss.eval()

        def value(a):
            return copy.deepcopy(loss)(fake, real, a)  # the same directions in each call

        a = torch.linspace(1.0, 2.1, 6).double().requires_grad_()  # no partial sums in common: no kink
        (gradient,) = torch.autograd.grad(value(a), a)
        step = 1e-3
        slope = (value(a.detach() + step * way) - value(a.detach() - step * way)) / (2 * step)
        assert float(gradient @ way) == pytest.approx(float(slope), rel=2e-2)
        assert float(gradient @ a.detach()) == pytest.approx(0.0, abs=1e-5)  # only shares count

    @pytest.mark.parametrize("method", METHODS)
    @pytest.mark.parametrize(
        ("weights", "reason"),
        [
            ([1.0, -1.0, *[1.0] * 18], "must be finite and >= 0, got -1.0 at 1"),
            ([float("nan"), *[1.0] * 19], "must be finite and >= 0, got nan at 0"),
            ([0.0] * 20, "must have a positive sum"),
            ([1.0] * 3, r"must have shape \(20,\), got \(3,\)"),
        ],
    )
    def test_bad_weights_are_named(self, method, weights, reason):
        loss = W1Loss(method)
        for _ in range(2):  # before and after the critic exists
            with pytest.raises(InputError, match=reason) as error:
                loss(REAL, REAL, b=torch.tensor(weights))
            assert error.value.argument == "b"
            loss(REAL, REAL)


class TestRefusals:
    def test_one_shape_of_points(self):
        images, rows = torch.rand(8, 1, 8, 8), torch.rand(6, 64)
        with pytest.raises(InputError, match=r"fake.*\(64,\).*\(1, 8, 8\).*real\.reshape\(-1, 1, 8, 8\)"):
            W1Loss()(images, rows)
        with pytest.raises(InputError, match=r"fake\.reshape\(-1, 1, 8, 8\)"):
            W1Loss("exact")(rows, images)
        assert W1Loss()(images, rows.reshape(-1, 1, 8, 8)).isfinite()  # other numbers of rows

    @every_critic
    def test_a_batch_that_is_not_finite_changes_nothing(self, build):
        loss = build()
        loss(REAL + 1.0, REAL)
        twin = copy.deepcopy(loss)
        with pytest.raises(InputError, match="real: must be finite, row 3 is not"):
            loss(REAL, torch.where(torch.arange(20)[:, None] == 3, torch.nan, REAL))
        assert loss(REAL + 1.0, REAL).item() == twin(REAL + 1.0, REAL).item()


class TestCost:
    @pytest.mark.parametrize("family", ["orthogonal", "anchors", "gp"])
    def test_one_synchronisation_a_call_and_no_singular_values(self, family):
        net = Net(W1Loss(family=family, anchors=8))
        net(Z).backward()
        with torch.profiler.profile() as profile:
            net(Z).backward()
        counts = {event.key: event.count for event in profile.key_averages()}
        assert counts.get("aten::_local_scalar_dense", 0) <= 1
        assert not any("svd" in name for name in counts)

    @pytest.mark.parametrize("family", FAMILIES)
    def test_no_layer_is_wider_than_256(self, family):
        loss = W1Loss(family=family, anchors=8).prepare(torch.randn(16, 700, generator=seeded()))
        units = [len(p) for name, p in loss.named_parameters() if "weight" in name or "original" in name]
        assert max(units, default=0) <= 256


class TestPrecisionAndCompilation:
    def test_a_gradient_scaler_changes_nothing(self):
        scaler = torch.amp.GradScaler("cpu", init_scale=2.0**10)
        plain, scaled = Net(W1Loss()), Net(W1Loss())
        optimisers = [torch.optim.SGD(net.parameters(), lr=0.1) for net in (plain, scaled)]
        for _ in range(3):
            for optimiser in optimisers:
                optimiser.zero_grad()
            plain(Z).backward()
            optimisers[0].step()
            scaler.scale(scaled(Z)).backward()
            scaler.step(optimisers[1])
            scaler.update()
        for p, q in zip(plain.generator.parameters(), scaled.generator.parameters(), strict=True):
            torch.testing.assert_close(p, q, rtol=1e-5, atol=1e-7)
        assert all(
            torch.equal(p, q) for p, q in zip(*map(critic_state, (plain.loss, scaled.loss)), strict=True)
        )

    def test_bfloat16_autocast_in_a_loop(self):
        net, other = Net(W1Loss()), Net(W1Loss())
        full = train(other, other.parameters(), steps=5)

        def low(value):
            assert value.dtype == torch.float32
            value.backward()

        with torch.autocast("cpu", torch.bfloat16):
            values = train(net, net.parameters(), steps=5, backward=low)
        assert values == pytest.approx(full, rel=0.2)  # the generator is computed in bfloat16
        assert all(p.dtype == torch.float32 for p in net.loss.parameters())

    @pytest.mark.slow
    @pytest.mark.parametrize("family", ["orthogonal", "gp"])
    def test_a_compiled_net_that_keeps_its_loss(self, family):
        nets = [Net(W1Loss(family=family).prepare(REAL)) for _ in range(2)]
        compiled = torch.compile(nets[1], backend="aot_eager")
        optimiser = torch.optim.SGD(nets[1].parameters(), lr=0.01)
        expected = []
        plain = torch.optim.SGD(nets[0].parameters(), lr=0.01)
        for _ in range(3):
            for one, step, found in ((nets[0], plain, expected), (compiled, optimiser, None)):
                step.zero_grad()
                value = one(Z)
                value.backward()
                step.step()
                if found is None:
                    assert value.item() == pytest.approx(expected[-1], rel=1e-4)
                else:
                    found.append(value.item())


class TestAccumulation:
    def test_the_critic_trains_in_each_micro_batch_and_gradients_add_up(self):
        net = Net(W1Loss(inner_steps=3))
        twin = copy.deepcopy(net)
        parts = [(Z[:12], REAL[:10]), (Z[12:], REAL[10:])]
        for z, real in parts:
            (net(z, real) / 2).backward()
        assert net.loss.online.get_extra_state()["steps"] == 6
        singles = []
        for z, real in parts:
            singles.append(torch.autograd.grad(twin(z, real) / 2, list(twin.generator.parameters())))
        for p, *parts_of_p in zip(net.generator.parameters(), *singles, strict=True):
            torch.testing.assert_close(p.grad, sum(parts_of_p))

    def test_one_refresh_on_the_whole_batch_and_a_frozen_critic_in_the_parts_is_one_batch(self):
        net = Net(W1Loss(inner_steps=3))
        whole = copy.deepcopy(net)
        expected = torch.autograd.grad(whole(Z), list(whole.generator.parameters()))
        with torch.no_grad():
            fake = net.generator(Z)
        net.loss.refresh(fake, REAL, steps=3)
        net.loss.freeze()
        for z, real in ((Z[:12], REAL[:10]), (Z[12:], REAL[10:])):
            (net(z, real) / 2).backward()
        for p, want in zip(net.generator.parameters(), expected, strict=True):
            torch.testing.assert_close(p.grad, want, rtol=1e-4, atol=1e-6)


@pytest.mark.slow
class TestWrappers:
    def test_a_net_that_keeps_its_loss_in_distributed_data_parallel(self, tmp_path):
        import torch.distributed as dist

        store = dist.FileStore(os.fspath(tmp_path / "store"), 1)
        dist.init_process_group("gloo", store=store, rank=0, world_size=1)
        try:
            plain, wrapped = (Net(W1Loss().prepare(REAL)) for _ in range(2))
            model = nn.parallel.DistributedDataParallel(wrapped)
            values = [train(net, net.parameters()) for net in (plain, model)]
        finally:
            dist.destroy_process_group()
        assert values[0] == pytest.approx(values[1], rel=1e-5)


@pytest.mark.parametrize("method", METHODS)
def test_weights_of_the_exact_distance_bound_a_certified_critic(method):
    a = torch.rand(20, generator=seeded(7))
    loss = W1Loss(method, **({"inner_steps": 50} if method == "critic" else {}))
    value, exact = loss(REAL - 1.0, REAL, a).item(), float(otdist.w1(REAL - 1.0, REAL, a))
    assert value <= exact * (1.0 + (0.2 if method == "sinkhorn" else 1e-5))
    assert value > 0.4 * exact
