"""Pace of a run: checks by the clock, and the time that is left."""

from __future__ import annotations

import time

import numpy as np
import pytest
import torch

from otdist.errors import InputError
from otdist.learn import fit_wgan
from otdist.learn.wgan import pace
from otdist.learn.wgan.networks import default_generator
from otdist.learn.wgan.pace import CheckClock, estimate_seconds
from otdist.learn.wgan.schedule import Schedule
from otdist.learn.wgan.settings import Settings

SMALL = {"batch_size": 8, "width": 32, "check_points": 16}


@pytest.fixture
def images(rng):
    return rng.normal(size=(48, 12, 12))


def test_checks_take_at_most_a_twentieth_of_the_time():
    clock, now, checking, steps_at_checks = CheckClock.of("clock", 0.0), 0.0, 0.0, []
    for step in range(4000):
        now += 0.5  # a step
        if clock.is_due(step, clock.is_time(now)):
            steps_at_checks.append(now)
            clock.restart(now, now + 3.0)
            now, checking = now + 3.0, checking + 3.0
    assert 10.0 <= steps_at_checks[0] < 11.0 and len(steps_at_checks) > 20
    assert checking / now <= 0.05 + 3.0 / now
    assert np.diff(steps_at_checks).min() >= 60.0  # a twentieth


def test_short_checks_are_twenty_seconds_apart():
    clock = CheckClock.of("clock", 100.0)
    assert not clock.is_time(109.9) and clock.is_time(110.0)
    clock.restart(110.0, 110.1)
    assert not clock.is_time(130.0) and clock.is_time(130.2)


def test_checks_by_steps_do_not_ask_the_clock():
    clock = CheckClock.of(5, 0.0)
    assert not clock.is_time(1e9)
    assert [step for step in range(1, 12) if clock.is_due(step, False)] == [5, 10]


def test_images_are_checked_by_the_clock_and_points_by_steps(images, monkeypatch):
    monkeypatch.setattr(pace, "FIRST_CHECK_SECONDS", 0.0)
    monkeypatch.setattr(pace, "MIN_SECONDS_BETWEEN", 0.0)
    monkeypatch.setattr(pace, "MAX_CHECK_SHARE", 0.5)
    run = fit_wgan(images, steps=12, stop=False, **SMALL)
    assert run.settings.check_every == "clock" and len(run.history) > 1
    assert run.history[-1].step == 12
    flat = fit_wgan(images.reshape(48, -1), steps=3, **SMALL)
    assert flat.settings.check_every == 500 and [check.step for check in flat.history] == [3]
    assert fit_wgan(images, steps=4, check_every=2, **SMALL).settings.check_every == 2


@pytest.mark.slow
def test_batches_of_images_are_smaller_on_a_cpu_unless_they_are_named(images):
    options = {"steps": 1, "width": 32, "check_points": 16, "device": "cpu"}
    assert fit_wgan(images, **options).settings.batch_size == 64
    assert fit_wgan(images, batch_size=256, **options).settings.batch_size == 256
    assert fit_wgan(images.reshape(48, -1), **options).settings.batch_size == 256


@pytest.mark.slow
def test_a_run_by_the_clock_goes_on(images, tmp_path):
    fit_wgan(images, steps=3, folder=tmp_path, **SMALL)
    run = fit_wgan(images, steps=5, folder=tmp_path, resume=True)
    assert run.steps == 5 and run.settings.check_every == "clock"


@pytest.mark.parametrize("every", ["time", 0, -1, 2.5, None])
def test_other_times_of_checks_are_refused(every, images):
    with pytest.raises(InputError, match="check_every: must be"):
        fit_wgan(images, steps=1, check_every=every)


def test_the_estimate_is_near_the_time_that_a_run_takes(images):
    run = fit_wgan(images, steps=2, stop=False, **SMALL)
    before = {name: stream.get_state().clone() for name, stream in run.state.streams.items()}
    by_steps = estimate_seconds(run.state, run.real, Schedule.of(1000, None, 0.3), 0.0)
    start = time.perf_counter()
    for _ in range(20):
        run.state.critic_step(run.real.train)
        run.state.generator_step()
    taken = (time.perf_counter() - start) * 50
    assert 0.05 * taken < by_steps < 20 * taken
    again = fit_wgan(images, steps=2, stop=False, **SMALL)
    estimate_seconds(again.state, again.real, Schedule.of(1000, None, 0.3), 0.0)
    assert again.state.step == 2
    assert all(torch.equal(before[name], stream.get_state()) for name, stream in again.state.streams.items())
    assert estimate_seconds(run.state, run.real, Schedule.of(None, 30.0, 0.3), 15.0) == pytest.approx(15.0)


def test_progress_says_how_long_a_run_takes(images, capsys):
    fit_wgan(images, steps=2, progress=True, **SMALL)
    assert " at most on this machine" in capsys.readouterr().err.splitlines()[0]


@pytest.mark.parametrize("shape", [(12, 12), (1, 28, 28), (3, 32, 32), (3, 64, 64), (2, 17, 40)], ids=str)
def test_generators_of_images_have_their_shape(shape):
    network = default_generator(Settings(latent=4), shape, torch.Generator().manual_seed(0))
    assert network(torch.zeros(2, 4)).flatten(1).shape == (2, int(np.prod(shape)))
    products = [2 * p.numel() for p in network.parameters()]
    assert sum(products) < 4e6
