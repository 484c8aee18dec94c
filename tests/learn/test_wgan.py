"""The trainer: what it learns, what it counts, what it refuses."""

from __future__ import annotations

import warnings
from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import nn
from wgan_worker import SMALL, cloud

import otdist
from otdist.errors import ConvergenceWarning, InputError
from otdist.learn import Orthogonal, fit_wgan
from otdist.learn.constraints.penalty import squared_grad_norms
from otdist.learn.wgan.networks import resolve_settings
from otdist.learn.wgan.objectives import critic_loss, generator_loss
from otdist.learn.wgan.real import RealData
from otdist.learn.wgan.schedule import Schedule
from otdist.learn.wgan.settings import CONSTRAINTS, OBJECTIVES, make_settings
from otdist.learn.wgan.state import State


def small(data=None, **more):
    return fit_wgan(cloud() if data is None else data, **(SMALL | {"steps": 20} | more))


def perceptron(*sizes, activation=nn.LeakyReLU):
    """Linear layers with activations between them."""
    layers = []
    for rows, cols in pairwise(sizes):
        layers += [nn.Linear(rows, cols), activation()]
    return nn.Sequential(*layers[:-1])


def ring(n, seed):
    """Eight groups on a circle."""
    rng = np.random.default_rng(seed)
    angle = 2 * np.pi * rng.integers(8, size=n) / 8
    return np.column_stack([np.cos(angle), np.sin(angle)]) + 0.05 * rng.normal(size=(n, 2))


def bars(n, seed):
    """Images of 8 x 8 pixels with a bright row or column in one of four places."""
    rng = np.random.default_rng(seed)
    images = 0.1 * rng.normal(size=(n, 8, 8))
    for image, kind in zip(images, rng.integers(4, size=n), strict=True):
        (image if kind < 2 else image.T)[1 + 4 * (kind % 2)] += 4.0
    return images


class TestLearning:
    @pytest.mark.parametrize(
        "constraint",
        ["orthogonal", *(pytest.param(name, marks=pytest.mark.slow) for name in ("spectral", "lp", "gp"))],
    )
    def test_a_law_far_from_the_start_is_found(self, constraint):
        data = np.random.default_rng(0).normal([30.0, -7.0], [0.5, 2.0], size=(600, 2))
        options = {"constraint": constraint, "batch_size": 64, "check_points": 60, "width": 32}
        run = fit_wgan(data, steps=300, check_every=100, **options)
        start = fit_wgan(data, steps=1, check_every=10, **options)
        fresh = np.random.default_rng(1).normal([30.0, -7.0], [0.5, 2.0], size=(600, 2))
        assert float(otdist.w1(run.sample(600), fresh)) < 0.4 * float(otdist.w1(start.sample(600), fresh))

    @pytest.mark.parametrize("objective", [o for o in OBJECTIVES if o != "w1"])
    @pytest.mark.slow
    def test_other_objectives_learn_as_well(self, objective):
        data = np.random.default_rng(0).normal([3.0, -7.0], [0.5, 2.0], size=(600, 2))
        options = {"objective": objective, "constraint": "spectral", "batch_size": 64, "width": 32}
        run = fit_wgan(data, steps=300, check_every=300, check_points=60, **options)
        start = fit_wgan(data, steps=1, check_every=10, **options)
        assert run.history[-1].estimate < 0.8 * start.history[-1].estimate

    @pytest.mark.slow
    @pytest.mark.parametrize("make", [ring, bars])
    def test_relativistic_pairs_learn_as_well_as_the_classic_game(self, make):
        data, fresh = make(400, 0), make(400, 1)
        distances = {}
        for objective, constraint in (("relativistic", None), ("gan", "none")):
            options = {"objective": objective, "constraint": constraint, "batch_size": 64, "width": 64}
            run = fit_wgan(data, steps=300, check_every=300, check_points=60, stop=False, **options)
            made = run.sample(400)
            distances[objective] = float(otdist.w1(made.reshape(400, -1), fresh.reshape(400, -1)))
        assert distances["relativistic"] < distances["gan"]

    def test_the_shape_and_units_of_the_data_come_back(self):
        images = np.random.default_rng(0).uniform(0, 16, size=(60, 1, 13, 9))
        run = small(images, steps=3)
        made = run.sample(5)
        assert made.shape == (5, 1, 13, 9)
        assert abs(made.mean() - 8.0) < 4.0

    @pytest.mark.slow
    def test_columns_with_names_have_units_of_their_own(self):
        pandas = pytest.importorskip("pandas")
        table = pandas.DataFrame({"a": cloud()[:, 0], "b": 1e6 * cloud()[:, 1]})
        run = small(table)
        assert not run.scale.common
        assert run.columns == ("a", "b")
        plain = small(table.to_numpy())
        assert plain.scale.common

    @pytest.mark.slow
    def test_distances_do_not_depend_on_the_place_and_scale_with_the_unit(self):
        run, moved = small(), small(8.0 * cloud() + 64.0)
        for name in ("lower", "upper", "estimate", "floor"):
            one, other = (getattr(r.history[-1], name) for r in (run, moved))
            assert other == pytest.approx(8.0 * one, rel=1e-3, abs=1e-3)


class TestObjectives:
    scores = torch.tensor([0.3, -1.2]), torch.tensor([2.0, 0.1])

    def test_losses_are_those_of_the_papers(self):
        real, fake = self.scores
        chance = torch.sigmoid
        classic = -(torch.log(chance(real)).sum() + torch.log(1 - chance(fake)).sum())
        assert torch.allclose(critic_loss("gan", real, fake), classic)
        assert torch.allclose(critic_loss("saturating", real, fake), classic)
        assert torch.allclose(generator_loss("gan", fake), -torch.log(chance(fake)).sum())
        assert torch.allclose(generator_loss("saturating", fake), torch.log(1 - chance(fake)).sum())
        hinge = (1 - real).clamp(min=0).sum() + (1 + fake).clamp(min=0).sum()
        assert torch.allclose(critic_loss("hinge", real, fake), hinge)
        assert torch.allclose(critic_loss("w1", real, fake), fake.sum() - real.sum())
        for name in ("hinge", "w1"):
            assert torch.allclose(generator_loss(name, fake), -fake.sum())

    def test_far_scores_do_not_overflow(self):
        far = torch.tensor([1e4, -1e4])
        for name in OBJECTIVES:
            assert torch.isfinite(critic_loss(name, far, far))
            assert torch.isfinite(generator_loss(name, far, far.flip(0)))

    def test_relativistic_losses_depend_on_differences_alone(self):
        real, fake = self.scores
        chance = torch.sigmoid(real - fake)
        assert torch.allclose(critic_loss("relativistic", real, fake), -torch.log(chance).sum())
        assert torch.allclose(generator_loss("relativistic", fake, real), -torch.log(1 - chance).sum())
        for shift in (3.0, -70.0):
            moved = real + shift, fake + shift
            assert torch.allclose(
                critic_loss("relativistic", *moved), critic_loss("relativistic", real, fake), rtol=1e-4
            )
            assert not torch.allclose(critic_loss("gan", *moved), critic_loss("gan", real, fake))

    def test_penalties_are_centred_at_zero(self):
        critic = nn.Linear(2, 1)
        with torch.no_grad():
            critic.weight.copy_(torch.tensor([[3.0, 4.0]]))
        values = squared_grad_norms(critic, torch.zeros(5, 2))
        assert torch.allclose(values, torch.full((5,), 25.0))
        values.mean().backward()
        assert torch.allclose(critic.weight.grad, torch.tensor([[6.0, 8.0]]))
        flat = squared_grad_norms(nn.Sequential(nn.Linear(2, 1), nn.Threshold(1e9, 0.0)), torch.zeros(5, 2))
        assert torch.equal(flat, torch.zeros(5))

    @pytest.mark.parametrize(
        ("options", "expected"),
        [
            ({"objective": "relativistic"}, ("none", (1.0, 1.0))),
            ({"objective": "relativistic", "r2": 0}, ("none", (1.0, 0.0))),
            ({"objective": "relativistic", "constraint": "orthogonal"}, ("orthogonal", (0.0, 0.0))),
            ({"objective": "gan", "constraint": "none", "r1": 5}, ("none", (5.0, 0.0))),
            ({}, ("orthogonal", (0.0, 0.0))),
        ],
    )
    def test_penalties_are_on_where_nothing_else_holds_the_critic(self, options, expected):
        chosen = make_settings(options, False)
        assert (chosen.constraint, chosen.zero_centred_weights) == expected
        if expected[0] != "orthogonal":
            assert make_settings(options, True) == chosen

    def test_a_penalty_keeps_the_gradient_small(self):
        norms = [
            small(objective="relativistic", r1=weight, r2=weight, steps=60).history[-1].slope
            for weight in (0.01, 10.0)
        ]
        assert norms[1] < 0.5 * norms[0]


class TestSteps:
    @pytest.mark.parametrize("n_critic", [1, 4])
    def test_the_critic_makes_n_critic_steps_for_one_of_the_generator(self, n_critic, monkeypatch):
        calls = []
        for name in ("critic_step", "generator_step"):
            plain = getattr(State, name)

            def counted(state, *data, plain=plain, name=name):
                calls.append((state, name))
                return plain(state, *data)

            monkeypatch.setattr(State, name, counted)
        run = small(steps=6, n_critic=n_critic, check_every=100)
        # Checks try further steps, on a copy.
        assert [name for state, name in calls if state is run.state] == (
            ["critic_step"] * n_critic + ["generator_step"]
        ) * 6

    def test_one_network_rests_while_the_other_moves(self):
        run = small(steps=1)
        state, real = run.state, RealData.of(cloud(), held_out=0.2, scale="auto", seed=0)

        def copies(module):
            return [p.detach().clone() for p in module.parameters()]

        def unchanged(module, before):
            return all(torch.equal(p, q) for p, q in zip(module.parameters(), before, strict=True))

        generator, critic, average = (copies(m) for m in (state.generator, state.critic, state.average))
        assert state.critic_step(real.train)
        assert unchanged(state.generator, generator)
        assert unchanged(state.average, average)
        assert not unchanged(state.critic, critic)
        critic = copies(state.critic)
        assert state.generator_step()
        assert unchanged(state.critic, critic)
        assert not unchanged(state.generator, generator)
        assert not unchanged(state.average, average)

    @pytest.mark.slow
    @pytest.mark.parametrize("constraint", ["orthogonal", "clip"])
    def test_the_constraint_holds_after_every_step(self, constraint, monkeypatch):
        plain, seen = State.generator_step, []

        def looked(state):
            if constraint == "clip":
                seen.append(max(float(p.detach().abs().max()) for p in state.critic.parameters()) <= 0.01)
            else:
                seen.append(state.critic.lipschitz() < 1 + 1e-4)
            return plain(state)

        monkeypatch.setattr(State, "generator_step", looked)
        small(constraint=constraint, steps=15)
        assert len(seen) == 15
        assert all(seen)

    @pytest.mark.slow
    def test_points_kept_aside_are_never_trained_on(self, monkeypatch):
        data = cloud(n=100)
        real = RealData.of(data, held_out=0.3, scale="auto", seed=0)
        assert len(real.heldout) == 30
        both = {tuple(row) for row in real.train.tolist()} & {tuple(row) for row in real.heldout.tolist()}
        assert not both
        aside, plain = {tuple(row) for row in real.heldout.tolist()}, State.batch

        def looked(state, points, *rest, **more):
            batch = plain(state, points, *rest, **more)
            assert not {tuple(row) for row in batch.tolist()} & aside
            return batch

        monkeypatch.setattr(State, "batch", looked)
        small(data, held_out=0.3)

    @pytest.mark.slow
    def test_packed_points_are_judged_together(self):
        run = small(packing=4)
        assert run.state.critic.weights[0].shape[1] == 4 * 3
        packed = run.state.pack(torch.arange(24.0).reshape(8, 3))
        assert packed.tolist()[1] == list(range(12, 24))

    def test_rates_fall_in_the_end_and_not_before(self):
        schedule = Schedule.of(100, None, 0.3)
        factors = [schedule.factor(schedule.share(step, 0.0)) for step in (0, 30, 65, 100)]
        assert factors == pytest.approx([1, 1, 0.5, 0])
        settled = schedule.start_decay(0.2)
        assert (settled.start, settled.end) == pytest.approx((0.2, 0.5))

    def test_rates_that_fall_already_fall_on_without_a_jump(self):
        schedule = Schedule.of(100, None, 0.3)
        late = schedule.start_decay(0.7)
        assert late.factor(0.7) == pytest.approx(schedule.factor(0.7))
        assert late.end == pytest.approx(0.7 + 0.7 * 3 / 7 * 0.75)
        assert late.start_decay(0.75) == late
        assert schedule.start_decay(0.6) == schedule  # they are above a half still

    @pytest.mark.slow
    @pytest.mark.parametrize(("constraint", "expected"), [("orthogonal", (1, 8e-3)), ("gp", (3, 1e-3))])
    def test_penalties_have_defaults_of_their_own(self, constraint, expected):
        chosen = fit_wgan(cloud(), steps=1, constraint=constraint, width=32, check_points=40).settings
        assert (chosen.n_critic, chosen.critic_rate) == expected
        assert small(steps=1, constraint=constraint, n_critic="auto").settings.n_critic == "auto"

    @pytest.mark.parametrize(
        ("shape", "options", "speed"),
        [
            ((2,), {}, 1.0),  # 64 units, 32 a column
            ((16,), {}, 1.0),
            ((64,), {}, 1.0),  # 256 units
            ((784,), {}, 2.0),
            ((64,), {"width": 128}, 2.0),
            ((64,), {"width": 64}, 4.0),
            ((64,), {"width": 16}, 4.0),
            ((64,), {"width": 16, "constraint": "gp"}, 1.0),
            ((64,), {"width": 16, "constraint": "spectral"}, 1.0),
            ((1, 28, 28), {"width": 1024}, 0.25),  # a convolutional generator has a rate of its own
        ],
    )
    def test_a_critic_that_is_narrow_for_its_columns_is_faster(self, shape, options, speed):
        chosen = resolve_settings(make_settings(options, False), shape, (False, False))
        assert chosen.critic_rate / chosen.learning_rate == pytest.approx(speed)

    def test_rates_that_are_given_are_kept(self):
        options = {"width": 16, "learning_rate": 1e-3, "critic_rate": 2e-3}
        chosen = resolve_settings(make_settings(options, False), (64,), (False, False))
        assert (chosen.learning_rate, chosen.critic_rate) == (1e-3, 2e-3)

    @pytest.mark.slow
    def test_time_ends_a_run(self):
        run = small(steps=None, max_seconds=1.0, stop=False)
        assert 0.9 < run.seconds < 20.0
        assert run.steps > 0

    @pytest.mark.slow
    def test_bfloat16_trains(self):
        run = small(precision="bfloat16", constraint="gp")
        assert np.isfinite(run.sample(5)).all()


class TestTrouble:
    def test_values_that_are_not_finite_take_it_back(self):
        with pytest.warns(ConvergenceWarning, match="not finite"):
            run = small(constraint="lp", learning_rate=1e38, check_every=5)
        assert "going back 3 times" in run.message
        assert {alarm.name for alarm in run.alarms} >= {"exploding"}
        assert np.isfinite(run.sample(10)).all()

    @pytest.mark.slow
    def test_trouble_that_passes_is_survived(self, monkeypatch):
        plain, broken = State.generator_step, []

        def breaks(state):
            if state.step == 13 and not broken:
                broken.append(True)
                with torch.no_grad():
                    next(state.generator.parameters()).fill_(float("nan"))
            return plain(state)

        monkeypatch.setattr(State, "generator_step", breaks)
        run = small()
        assert run.steps == 20
        assert run.state.rate_scale == 0.5
        assert [alarm.step for alarm in run.alarms if alarm.name == "exploding"] == [13]
        assert "step 10" in next(a.remedy for a in run.alarms if a.name == "exploding")
        assert np.isfinite(run.sample(10)).all()


class TestOwnModules:
    @pytest.mark.slow
    def test_they_are_trained_and_asked_for_again(self, tmp_path):
        torch.manual_seed(0)
        modules = {"generator": perceptron(4, 8, 3, activation=nn.Tanh), "critic": perceptron(3, 8, 1)}
        run = small(folder=tmp_path, **modules)
        assert run.settings.constraint == "spectral"
        from otdist.learn import WGAN

        with pytest.raises(InputError, match=r"generator: must be given, since the run was made with yours"):
            WGAN.load(tmp_path)
        with pytest.raises(InputError, match=r"does not fit these networks"):
            WGAN.load(tmp_path, generator=perceptron(4, 9, 3), critic=perceptron(3, 8, 1))
        again = WGAN.load(
            tmp_path, generator=perceptron(4, 8, 3, activation=nn.Tanh), critic=perceptron(3, 8, 1)
        )
        assert np.array_equal(run.sample(5), again.sample(5))

    def test_a_critic_of_images_sees_images(self):
        critic = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 36, 1))
        run = small(np.random.default_rng(0).normal(size=(60, 1, 8, 8)), critic=critic, steps=3)
        assert run.sample(2).shape == (2, 1, 8, 8)
        assert np.isfinite(run.state.constant())

    @pytest.mark.parametrize(
        ("critic", "said"),
        [
            (nn.Sequential(nn.Linear(3, 8), nn.BatchNorm1d(8), nn.Linear(8, 1)), "BatchNorm"),
            (nn.Sequential(nn.Linear(3, 1), nn.Sigmoid()), "sigmoid"),
            (nn.Linear(3, 2), "must return one number"),
            (len, "must be a torch.nn.Module, got builtin_function_or_method"),
        ],
    )
    def test_what_is_no_critic_is_refused(self, critic, said):
        with pytest.raises(InputError, match=f"critic: .*{said}"):
            small(critic=critic, constraint="gp")

    @pytest.mark.parametrize(
        ("generator", "said"),
        [
            (nn.Linear(4, 5), r"got \(2, 5\)"),
            (nn.Linear(7, 3), r"must take .*\(n, 4\)"),
            (3, "must be a torch.nn.Module, got int"),
        ],
    )
    def test_what_is_no_generator_is_refused(self, generator, said):
        with pytest.raises(InputError, match=f"generator: .*{said}"):
            small(generator=generator)


class TestRefused:
    @pytest.mark.parametrize(
        ("data", "said"),
        [
            (np.arange(100), r"data: must have shape .* labels"),
            (np.zeros((100, 2)), r"data: must have two distinct points"),
            (np.ones((5, 2)), r"data: must have 32 points or more, got 5"),
            (np.full((50, 2), np.nan), r"data: must be finite, row 0 is not"),
            (np.ones((50, 0)), r"data: must have shape"),
            (np.ones((50, 1, 100, 100)), r"data: must be images"),
            ([["a", "b"]] * 50, r"data: "),
            (np.ones((50, 2), complex), r"data: dtype complex128"),
        ],
    )
    def test_data_that_are_none(self, data, said):
        with pytest.raises(InputError, match=said):
            small(data)

    @pytest.mark.parametrize(
        ("options", "said"),
        [
            ({"n_critics": 3}, "n_critics: is not an option of the trainer; did you mean n_critic. Its"),
            ({"lr": 1e-3}, "lr: is not an option of the trainer; did you mean learning_rate. Its options"),
            ({"batch": 64}, "batch: is not an option of the trainer; did you mean batch_size. Its options"),
            ({"epochs": 9}, "epochs: is not an option of the trainer; did you mean steps. Its options"),
            ({"verbosity": 9}, "verbosity: is not an option of the trainer; its options are .*n_critic"),
            ({"objective": "wgan"}, "objective: must be .*, got 'wgan'"),
            ({"constraint": "gradient"}, "constraint: must be .*, got 'gradient'"),
            ({"constraint": "none"}, "constraint: must not be"),
            ({"r1": -1}, "r1: must be .*, got -1"),
            ({"n_critic": 0}, "n_critic: must be .*, got 0"),
            ({"n_critic": 2.0}, "n_critic: must be .*, got 2.0"),
            ({"batch_size": "auto"}, "batch_size: must be .*, got 'auto'"),
            ({"batch_size": 32, "packing": 3}, "batch_size: must be a multiple"),
            ({"learning_rate": -1}, "learning_rate: must be .*, got -1"),
            ({"held_out": 1.5}, "held_out: must be .*, got 1.5"),
            ({"held_out": 0.99}, "held_out: must leave .* 0.99"),
            ({"average": 1}, "average: must be .*, got 1"),
            ({"precision": "float16"}, "precision: must be .*, got 'float16'"),
            ({"steps": 0}, "steps: must be .*, got 0"),
            ({"steps": 1.5}, "steps: must be .*, got 1.5"),
            ({"max_seconds": 0}, "max_seconds: must be .*, got 0"),
            ({"max_seconds": float("nan")}, "max_seconds: must be .*, got nan"),
            ({"seed": -1}, "seed: must be .*, got -1"),
            ({"device": "gpu"}, "device: must be .*, got 'gpu'"),
            ({"scale": "rows"}, "scale: must be .*, got 'rows'"),
            ({"stop": 3}, "stop: must be .*, got 3"),
        ],
    )
    def test_settings_that_are_none(self, options, said):
        with pytest.raises(InputError, match=said):
            small(**options)

    @pytest.mark.slow
    def test_every_constraint_that_is_named_is_there(self):
        for constraint in CONSTRAINTS:
            objective = "gan" if constraint == "none" else "w1"
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                critic = Orthogonal(3, width=8) if constraint == "own" else None
                options = {"constraint": constraint, "objective": objective, "critic": critic}
                assert small(steps=3, **options).steps == 3

    @pytest.mark.parametrize("channels", [1, 3, 4])
    def test_channels_behind_the_pixels_are_refused(self, channels, rng):
        images = rng.normal(size=(40, 9, 8, channels))
        with pytest.raises(
            InputError, match=r"data: must have channels before rows .* np.moveaxis\(data, -1, 1\)"
        ):
            fit_wgan(images, steps=1)
        assert fit_wgan(np.moveaxis(images, -1, 1), steps=1).sample(2).shape == (2, channels, 9, 8)

    def test_samples_that_are_no_number(self):
        run = small(steps=1)
        with pytest.raises(InputError, match="n: must be an integer >= 1, got 0"):
            run.sample(0)


@pytest.mark.slow
def test_odd_data_are_named_and_trained_on():
    data = np.column_stack([cloud(), np.ones(200)])
    run = small(data, steps=1)
    assert any(alarm.name == "data" and "constant columns: 3" in alarm.cause for alarm in run.alarms)
    rounded = small(np.round(cloud()), steps=1)
    assert any("cast to integers" in alarm.remedy for alarm in rounded.alarms)
    assert not small(steps=1).alarms


def test_a_name_of_a_column_does_not_split_an_alarm():
    pandas = pytest.importorskip("pandas")
    table = pandas.DataFrame({"a": cloud()[:, 0], "b; c": np.ones(200), "d": cloud()[:, 1]})
    (alarm,) = small(table, steps=1).alarms
    assert (alarm.name, alarm.cause) == ("data", "constant columns: b; c")
    assert alarm.remedy.startswith("leave them out")


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
def test_a_gpu_draws_the_same_numbers():
    one, other = small(steps=1), small(steps=1, device="cuda")
    assert np.allclose(one.sample(5), other.sample(5), atol=1e-3)
