"""Training on devices that run ahead of the host, the CPU in their place: same bits, no waiting."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest
import torch
from fake_mps import MPS, FakeMps, marked
from torch.optim.swa_utils import AveragedModel
from wgan_worker import CASES, SMALL, cloud, same, trained

from otdist.errors import ConvergenceWarning
from otdist.learn import WGAN, fit_wgan
from otdist.learn.critics import Orthogonal
from otdist.learn.wgan.average import MovingAverage
from otdist.learn.wgan.real import RealData
from otdist.learn.wgan.settings import make_settings
from otdist.learn.wgan.state import State, build_state
from otdist.learn.wgan.step_numbers import BLOCK_STEPS, StepNumbers, count_steps

CPU = torch.device("cpu")
ENOUGH = {"orthogonal", "gp"}
EACH_CASE = [c if c in ENOUGH else pytest.param(c, marks=pytest.mark.slow) for c in CASES]


@pytest.fixture
def ahead(monkeypatch):
    """The CPU is treated like a device."""
    plain = State.__post_init__

    def prepared(state):
        plain(state)
        state.runs_ahead = True

    def switch(on=True):
        monkeypatch.setattr(State, "__post_init__", prepared if on else plain)

    return switch


class TestNumbers:
    @pytest.mark.parametrize("shape", [(3,), (64, 5), (7, 1)])
    @pytest.mark.parametrize("draw", [torch.randn, torch.rand])
    def test_blocks_are_the_numbers_of_single_steps(self, shape, draw):
        alone, blocks = (torch.Generator().manual_seed(3) for _ in range(2))
        numbers = StepNumbers(blocks, lambda: draw(*shape, generator=blocks), CPU, 4)
        for _ in range(10):
            assert torch.equal(numbers.next(), draw(*shape, generator=alone))
            assert torch.equal(numbers.get_state(), alone.get_state())
        numbers.rewind()
        assert torch.equal(blocks.get_state(), alone.get_state())
        assert torch.equal(numbers.next(), draw(*shape, generator=alone))

    def test_the_state_can_be_read_at_any_time(self):
        generator = torch.Generator().manual_seed(0)
        numbers = StepNumbers(generator, lambda: torch.randn(2, generator=generator), CPU, 3)
        for _ in range(7):
            before = numbers.get_state()
            assert torch.equal(before, numbers.get_state())
            again = torch.Generator()
            again.set_state(before)
            assert torch.equal(numbers.next(), torch.randn(2, generator=again))

    def test_rows_are_gathered_before_the_copy(self):
        points = torch.arange(12.0).reshape(6, 2)
        generator = torch.Generator().manual_seed(0)
        numbers = StepNumbers(
            generator,
            lambda: torch.randint(6, (4,), generator=generator),
            CPU,
            3,
            gather=points.__getitem__,
        )
        rows = torch.Generator().manual_seed(0)
        for _ in range(5):
            assert torch.equal(numbers.next(), points[torch.randint(6, (4,), generator=rows)])

    def test_blocks_stay_small(self):
        assert count_steps(1) == BLOCK_STEPS and count_steps(2**30) == 1 and count_steps(2**24) == 4


class TestSameRun:
    @pytest.mark.parametrize("case", EACH_CASE)
    def test_a_device_ahead_has_the_same_bits(self, case, ahead):
        plain = trained(case, steps=12)
        ahead()
        assert same(trained(case, steps=12), plain)

    @pytest.mark.slow
    @pytest.mark.parametrize("case", CASES)
    def test_a_run_goes_on_in_the_middle_of_a_block(self, case, ahead, tmp_path):
        plain = trained(case, steps=25)
        ahead()
        with pytest.raises(StopIteration):
            trained(case, steps=25, folder=tmp_path / "ahead", on_check=stop_at(10))
        assert same(trained(case, steps=25, folder=tmp_path / "ahead", resume=True), plain)
        with pytest.raises(StopIteration):
            trained(case, steps=25, folder=tmp_path / "mixed", on_check=stop_at(10))
        ahead(on=False)  # a device and the CPU read the checkpoints of each other
        assert same(trained(case, steps=25, folder=tmp_path / "mixed", resume=True), plain)

    @pytest.mark.slow
    def test_a_probe_of_the_critic_is_the_same(self, ahead):
        plain = trained("orthogonal", n_critic="auto")
        ahead()
        assert same(trained("orthogonal", n_critic="auto"), plain)

    @pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, lambda s: pickle.loads(pickle.dumps(s))])
    def test_a_copy_in_the_middle_of_a_block_goes_on_alike(self, copied, ahead):
        expected, real = new_state()
        ahead()
        state, _ = new_state()
        for one in (expected, state):
            one.critic_step(real.train)
        twin = copied(state)
        numbers = [expected.noise(32) for _ in range(3)]
        assert all(torch.equal(twin.noise(32), z) for z in numbers)
        if copied is not copy.copy:  # which shares the streams
            assert all(torch.equal(state.noise(32), z) for z in numbers)

    @pytest.mark.parametrize("network", ["generator", "critic"])
    def test_trouble_is_taken_back_to_the_same_state(self, network, ahead, monkeypatch):
        plain, broken = State.critic_step, []

        def breaks(state, train):
            if state.step == 13 and not broken:
                broken.append(True)
                with torch.no_grad():
                    next(getattr(state, network).parameters()).fill_(float("nan"))
            return plain(state, train)

        monkeypatch.setattr(State, "critic_step", breaks)
        one = trained("gp", steps=25)
        broken.clear()
        ahead()
        other = trained("gp", steps=25)
        assert broken and same(one, other)
        assert one.alarms == other.alarms
        assert [a.step for a in other.alarms if a.name == "exploding"] == [13]

    def test_weights_stop_at_the_first_value_that_is_not_finite(self, ahead):
        ahead()
        state, real = new_state()
        for _ in range(2):
            state.critic_step(real.train)
            state.generator_step()
        with torch.no_grad():
            next(state.generator.parameters())[0, 0] = float("inf")
        before = {name: p.clone() for name, p in state.critic.state_dict().items()}
        assert state.critic_step(real.train) and state.generator_step()  # nobody looks
        state.critic_step(real.train)
        assert not state.is_finite() and int(state.failed_at) == 2
        for name, p in state.critic.state_dict().items():
            assert torch.allclose(p, before[name], atol=1e-6)  # retractions alone

    def test_points_on_the_host_are_the_same_points(self):
        state, real = new_state()
        expected = [state.batch(real.train) for _ in range(5)]
        with FakeMps():
            other, _ = new_state(device=MPS)
            batches = [other.batch(real.train) for _ in range(5)]
            assert all(batch.device == MPS for batch in batches)
            assert all(torch.equal(a.cpu(), b) for a, b in zip(batches, expected, strict=True))


class TestAverage:
    def test_it_is_the_one_of_torch(self):
        def average(averages, current, count):
            weight = 1 - min(0.99, (1 + float(count)) / (10 + float(count)))
            torch._foreach_lerp_(averages, current, weight)

        torch.manual_seed(0)
        net = torch.nn.Linear(3, 2)
        ours, theirs = MovingAverage(net, 0.99), AveragedModel(net, multi_avg_fn=average, use_buffers=True)
        for _ in range(5):
            with torch.no_grad():
                net.weight.add_(torch.randn(2, 3))
            ours.update_parameters(net)
            theirs.update_parameters(net)
        assert all(torch.equal(v, theirs.state_dict()[k]) for k, v in ours.state_dict().items())

    def test_counters_are_copied(self):
        net = torch.nn.BatchNorm1d(2)
        average = MovingAverage(net, 0.9)
        for _ in range(3):
            net(torch.randn(4, 2))
            average.update_parameters(net)
        assert average.module.num_batches_tracked == 3


WAITING = ("item", "__float__", "__bool__", "__int__", "tolist", "cpu", "numpy", "__array__", "nonzero")
WAITING += ("__index__", "equal", "allclose", "unique")


class Watched(FakeMps):
    """A device that counts what makes the host wait for it, and copies to it."""

    def __init__(self):
        super().__init__()
        self.waits, self.copies = [], 0

    def __torch_function__(self, function, types, args=(), kwargs=None):
        name = getattr(function, "__name__", "")
        is_on = any(map(marked, args))
        if name in WAITING and is_on:
            self.waits.append(name)
        found = super().__torch_function__(function, types, args, kwargs)
        sources = args[1:] if name == "copy_" else args[:1]
        self.copies += name in ("to", "copy_") and marked(found) and not any(map(marked, sources))
        return found


@pytest.mark.parametrize("case", EACH_CASE)
def test_no_step_waits_for_the_device_or_copies_to_it(case):
    with Watched() as device:
        state, real = new_state(CASES[case], MPS)
        for _ in range(3):  # blocks and states of the optimisers
            state.critic_step(real.train)
            state.generator_step()
        device.waits.clear()
        device.copies = 0
        for _ in range(10):
            state.critic_step(real.train)
            state.generator_step()
        assert not device.waits
        assert device.copies == 0
        assert state.is_finite() and device.waits  # the watch sees


NEEDS_CUDA = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")


@pytest.mark.cuda
@NEEDS_CUDA
class TestCuda:
    @pytest.mark.parametrize("case", CASES)
    def test_no_step_waits(self, case):
        state, real = new_state(CASES[case], torch.device("cuda:0"))
        for _ in range(3):
            state.critic_step(real.train)
            state.generator_step()
        torch.cuda.set_sync_debug_mode("error")
        try:
            for _ in range(10):
                state.critic_step(real.train)
                state.generator_step()
        finally:
            torch.cuda.set_sync_debug_mode("default")
        assert state.is_finite()

    @pytest.mark.parametrize("case", CASES)
    def test_short_runs_are_those_of_the_cpu(self, case):
        one, other = trained(case, steps=3), trained(case, steps=3, device="cuda")
        assert np.allclose(one.sample(20), other.sample(20), atol=1e-3)
        assert len(one.state.gaps) == len(other.state.gaps)
        left, right = (state.get_random_states() for state in (one.state, other.state))
        assert all(torch.equal(left[name], right[name]) for name in left)

    def test_runs_go_on_on_the_other_device(self, tmp_path):
        with pytest.raises(StopIteration):
            trained("gp", folder=tmp_path, device="cuda", on_check=stop_at(10))
        run = trained("gp", folder=tmp_path, resume=True, steps=12)
        assert run.steps == 12 and np.isfinite(run.sample(5)).all()
        assert WGAN.load(tmp_path, device="cuda").sample(3).shape == (3, 3)

    def test_trouble_is_taken_back(self):
        with pytest.warns(ConvergenceWarning, match="not finite"):
            run = trained("gp", device="cuda", learning_rate=1e38, check_every=5)
        assert [a.name for a in run.alarms].count("exploding") == 4 and np.isfinite(run.sample(10)).all()

    def test_points_on_the_host_train_as_well(self, monkeypatch):
        plain = trained("orthogonal", steps=3, device="cuda")
        monkeypatch.setattr("otdist.learn.wgan.real.free_bytes", lambda device: 0.0)
        hosted = trained("orthogonal", steps=3, device="cuda")
        assert hosted.real.train.device == CPU
        assert np.allclose(hosted.sample(20), plain.sample(20), atol=1e-5)

    def test_critics_of_the_caller_hold_themselves(self):
        critic = Orthogonal(3, width=8, generator=torch.Generator().manual_seed(0))
        run = fit_wgan(cloud(), critic=critic, **(SMALL | {"steps": 5, "device": "cuda"}))
        assert run.settings.constraint == "own" and run.state.constant() < 1 + 1e-4


def new_state(options=None, device=CPU):
    """A state before the first step, and its data."""
    chosen = {k: v for k, v in (SMALL | (options or {})).items() if k != "device"}
    real = RealData.of(cloud(), held_out=0.2, scale="auto", seed=0)
    state = build_state(make_settings(chosen, False), real.shape, 0, None, None, device)
    return state, real.to(device)


def stop_at(step):
    """A callback that ends a run."""

    def look(check, run):
        if check.step == step:
            raise StopIteration

    return look
