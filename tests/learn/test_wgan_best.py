"""The best check of a run: which one it is, what keeps its generator, and what its figures mean."""

from __future__ import annotations

import copy
import math
import pickle
import subprocess
import sys

import numpy as np
import pytest
import torch
from test_wgan_health import HEALTHY
from wgan_worker import SMALL, cloud

from otdist.errors import InputError
from otdist.learn import WGAN, fit_wgan
from otdist.learn.wgan import checkpoint
from otdist.learn.wgan.metadata import collect_metadata
from otdist.learn.wgan.monitor.best import BestGenerator
from otdist.learn.wgan.monitor.bracket import bracket_w1, standard_error
from otdist.learn.wgan.monitor.check import Check
from otdist.learn.wgan.monitor.run_check import evaluate_best

NEW_FIGURES = ("debiased_error", "mean_error", "drift")  # which files of earlier versions do not have


@pytest.fixture(scope="module")
def run():
    return fit_wgan(cloud(), **(SMALL | {"steps": 40}))


def with_best(run, check):
    """A copy of a run whose best check is another one, with weights of its own."""
    other = copy.deepcopy(run)
    other.best_generator.check, other.best_generator.final = check, None
    for weight in other.best_generator.weights.values():
        if weight.is_floating_point():
            weight.mul_(0.5)
    return other


class Weights:
    """The part of a training state that the best check is kept from: weights that name the check."""

    def __init__(self, number):
        self.average = torch.nn.Linear(1, 1, bias=False)
        torch.nn.init.constant_(self.average.weight, number)


def kept(values, noise=0.0):
    """The check that is kept of checks with these distances, which differ by independent noise."""
    best, rng = BestGenerator(), np.random.default_rng(0)
    for k, value in enumerate(values):
        best.arrays.influence = torch.from_numpy(noise * rng.standard_normal((4, 100)))
        figures = HEALTHY | {"debiased": value, "estimate": value + 0.08}
        best.update(Weights(float(k)), Check(step=k, **figures))
    assert float(best.weights["weight"]) == best.check.step
    return best.check.step


class TestChoice:
    def test_the_lowest_distance_is_kept(self):
        assert kept([0.5, 0.2, 0.1, 0.3, 0.4]) == 2

    def test_of_ties_the_last_one_is_kept(self):
        assert kept([0.5, 0.1, 0.1005, 0.1, 0.3]) == 3  # within 1 % of the distance between samples
        # The difference of two checks has variance 4 parts * 2 * noise^2 / 100, a standard error of 0.028.
        assert kept([0.5, 0.1, 0.12, 0.3], noise=0.1) == 2
        assert kept([0.5, 0.1, 0.15, 0.3], noise=0.1) == 1

    def test_ties_do_not_add_up(self):
        """Each is within noise of the one before, and the later ones are not of the lowest."""
        assert kept([0.1, 0.12, 0.14, 0.16, 0.18], noise=0.1) == 1


class TestRun:
    def test_samples_are_those_of_the_best_check(self):
        seen = {}

        def look(check, trained):
            seen[check.step] = trained.sample(5, state="last")

        run = fit_wgan(cloud(), on_check=look, **(SMALL | {"steps": 40}))
        assert run.best.step in seen
        np.testing.assert_array_equal(run.sample(5), seen[run.best.step])
        np.testing.assert_array_equal(run.sample(5, state="last"), seen[40])

    def test_an_earlier_check_is_named_wherever_its_figures_stand(self, run):
        other = with_best(run, run.history[1])
        assert not np.array_equal(other.sample(5), other.sample(5, state="last"))
        assert other.w1.step == other.best.step == 20
        assert "at step 20" in repr(other)
        assert "at step 20, the best check" in str(other)
        assert other.card["best step"] == 20

    def test_the_last_state_stays_as_it_is(self, run):
        other = with_best(run, run.history[1])
        np.testing.assert_array_equal(other.sample(5, state="last"), run.sample(5, state="last"))

    def test_another_state_is_refused(self, run):
        with pytest.raises(InputError, match="state: must be 'best' or 'last', got 'first'"):
            run.sample(5, state="first")

    def test_a_file_keeps_it(self, run, tmp_path):
        other = with_best(run, run.history[1])
        other.save(tmp_path)
        loaded = WGAN.load(tmp_path)
        for state in ("best", "last"):
            np.testing.assert_array_equal(loaded.sample(5, state=state), other.sample(5, state=state))
        assert loaded.best == other.best
        assert loaded.w1 == other.w1

    def test_a_file_of_an_earlier_version_has_the_last_state_alone(self, run, tmp_path):
        metadata = collect_metadata(run)
        del metadata["best"]
        for check in metadata["history"]:
            for name in NEW_FIGURES:
                del check[name]
        tensors = checkpoint.collect_tensors(run.state) | run.snapshots.tensors()
        checkpoint.write(tmp_path, tensors, metadata)
        loaded = WGAN.load(tmp_path)
        assert loaded.best is None
        assert loaded.w1.step == 40
        np.testing.assert_array_equal(loaded.sample(5), run.sample(5, state="last"))
        assert "40 steps" in repr(loaded)
        more = fit_wgan(cloud(), folder=tmp_path, resume=True, steps=60, device="cpu")
        assert more.best.step > 40


class TestFinal:
    def test_it_has_fresh_fakes_and_wider_bounds_for_more_checks(self, run):
        best, state = run.best_generator, run.state
        few, many = (evaluate_best(state, run.real, best, count) for count in (1, 100))
        assert few.estimate == many.estimate == run.best.estimate
        assert few.estimate != best.check.estimate
        assert few.floor == best.check.floor
        assert many.upper > few.upper
        assert many.lower <= few.lower
        assert few.step == best.check.step

    @pytest.mark.slow
    def test_a_choice_among_equal_generators_is_optimistic_and_the_final_check_is_not(self):
        """Checks that differ by noise alone: the lowest of 15 is too low, its repetition is not."""
        rng, chosen, again = np.random.default_rng(0), [], []
        for _ in range(30):
            x = rng.normal(size=(64, 2))
            values = [bracket_w1(x, rng.normal(size=(64, 2))).debiased for _ in range(15)]
            chosen.append(min(values))
            again.append(bracket_w1(x, rng.normal(size=(64, 2))).debiased)
        error = np.std(again) / math.sqrt(len(again))
        assert np.mean(chosen) < -5 * error
        assert abs(np.mean(again)) < 3 * error


class TestNoise:
    @pytest.mark.slow
    @pytest.mark.parametrize(("n", "d", "shift"), [(64, 4, 1.0), (64, 4, 0.0), (200, 2, 0.5)])
    def test_the_standard_error_is_the_spread_of_the_distance(self, n, d, shift):
        rng, values, errors = np.random.default_rng(0), [], []
        for _ in range(60):
            found = bracket_w1(rng.normal(size=(n, d)), rng.normal(size=(n, d)) + shift / math.sqrt(d))
            values.append(found.debiased)
            errors.append(standard_error(found.influence))
        # The spread of 60 values has a relative error of 9 %; the jackknife tends to be too large.
        assert 0.8 < np.mean(errors) / np.std(values, ddof=1) < 1.8

    def test_equal_generators_differ_by_nothing(self):
        x, y = np.random.default_rng(0).normal(size=(2, 40, 2))
        one, other = (bracket_w1(x, y).influence for _ in range(2))
        assert standard_error(one - other) == 0.0


class TestCopies:
    def test_a_run_can_be_copied_and_pickled(self, run):
        for other in (copy.deepcopy(run), pickle.loads(pickle.dumps(run))):
            np.testing.assert_array_equal(other.sample(5), run.sample(5))
            assert str(other) == str(run)
            assert other.state.critic_step(other.real.train)

    @pytest.mark.slow
    def test_another_process_reads_a_pickled_run(self, run, tmp_path):
        (tmp_path / "run.pickle").write_bytes(pickle.dumps(run))
        code = "import pickle, sys; print(pickle.load(open(sys.argv[1], 'rb')).sample(2).tolist())"
        told = subprocess.run(
            [sys.executable, "-c", code, tmp_path / "run.pickle"], capture_output=True, text=True, check=True
        )
        np.testing.assert_array_equal(np.array(eval(told.stdout)), run.sample(2))


class TestSeeds:
    @pytest.mark.parametrize("seed", [np.int64(3), np.uint32(3), np.array(3), torch.tensor(3)])
    def test_any_integer_type_is_a_seed(self, run, seed):
        np.testing.assert_array_equal(run.sample(2, rng=seed), run.sample(2, rng=3))

    def test_none_and_generators_draw_new_points(self, run):
        rng = np.random.default_rng(0)
        assert not np.array_equal(run.sample(2, rng=rng), run.sample(2, rng=rng))
        assert not np.array_equal(run.sample(2, rng=None), run.sample(2, rng=None))

    @pytest.mark.parametrize("seed", [True, -1, 1.5, "0"])
    def test_nothing_else_is(self, run, seed):
        with pytest.raises(InputError, match="rng: must be None, an integer"):
            run.sample(2, rng=seed)

    def test_training_takes_the_same(self, run):
        other = fit_wgan(cloud(), seed=np.array(0), **(SMALL | {"steps": 40}))
        np.testing.assert_array_equal(other.sample(3), run.sample(3))
