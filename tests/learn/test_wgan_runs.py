"""Runs of the trainer that are cut off, go on, or are shared by processes: all end with the same bytes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
import wgan_worker
from ranks import run_ranks
from wgan_worker import CASES, DATA_CASES, SMALL, STEPS, cloud, first_gradients, same, trained

from otdist.errors import ConvergenceWarning, InputError
from otdist.learn import WGAN, fit_wgan
from otdist.learn.wgan import checkpoint
from otdist.learn.wgan.state import State

WORKER = Path(wgan_worker.__file__)


def interrupted_at(step, monkeypatch):
    """Ctrl-C while the generator makes a step."""
    plain = State.generator_step

    def stepping(state):
        if state.step == step:
            os.kill(os.getpid(), signal.SIGINT)
        return plain(state)

    monkeypatch.setattr(State, "generator_step", stepping)


def until(step, train, case, **more):
    """Train, with a Ctrl-C in a step."""
    with pytest.MonkeyPatch.context() as patch:
        interrupted_at(step, patch)
        with pytest.warns(ConvergenceWarning, match="interrupted"):
            return train(case, **more)


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_the_same_seed_gives_the_same_bytes(case):
    assert same(trained(case), trained(case))


@pytest.mark.slow
def test_another_seed_gives_others():
    one, other = trained("orthogonal"), trained("orthogonal", seed=1)
    assert not np.array_equal(one.sample(5), other.sample(5))


@pytest.mark.slow
def test_global_random_streams_stay_as_they_are():
    torch.manual_seed(3)
    np.random.seed(3)  # noqa: NPY002  the global one is what must not move
    before = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    trained("gp")
    assert torch.equal(before[0], torch.get_rng_state())
    assert np.array_equal(before[1], np.random.get_state()[1])  # noqa: NPY002


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("step", [3, 10, 27])
def test_a_run_that_was_interrupted_goes_on_as_if_it_was_not(case, step, tmp_path):
    run = until(step, trained, case, folder=tmp_path)
    assert run.steps == step + 1
    assert same(trained(case, folder=tmp_path, resume=True), trained(case))


class TestOnCheck:
    def test_it_gets_every_check_and_the_run_so_far(self):
        seen = []

        def look(check, run):
            assert run.history[-1] is check and run.steps == check.step
            seen.append((check.step, run.sample(3)))
            return True  # means nothing

        run = trained("orthogonal", on_check=look)
        assert [step for step, _ in seen] == [check.step for check in run.history]
        assert np.array_equal(seen[-1][1], run.sample(3)) and not np.array_equal(seen[0][1], run.sample(3))

    def test_samples_and_files_of_a_check_do_not_change_the_run(self, tmp_path):
        def look(check, run):
            run.save(tmp_path / str(check.step))
            run.sample(100, rng=check.step)

        assert same(trained("orthogonal", on_check=look), trained("orthogonal"))
        assert WGAN.load(tmp_path / "10").steps == 10

    def test_what_it_raises_ends_a_run_that_can_go_on(self, tmp_path):
        def stop(check, run):
            if check.step == 20:
                raise RuntimeError("enough")

        with pytest.raises(RuntimeError, match="enough"):
            trained("orthogonal", folder=tmp_path, on_check=stop)
        assert WGAN.load(tmp_path).steps == 20
        assert same(trained("orthogonal", folder=tmp_path, resume=True), trained("orthogonal"))


def test_an_interruption_without_a_folder_loses_nothing(monkeypatch):
    interrupted_at(12, monkeypatch)
    with pytest.warns(ConvergenceWarning, match="interrupted at step 13"):
        run = trained("orthogonal")
    assert run.sample(4).shape == (4, 3)
    assert [check.step for check in run.history] == [10]


def test_ctrl_c_means_what_it_meant_before_once_training_is_over(monkeypatch):
    before = signal.getsignal(signal.SIGINT)
    trained("orthogonal", steps=5)
    assert signal.getsignal(signal.SIGINT) is before


@pytest.mark.slow
def test_a_run_that_was_killed_goes_on_from_its_last_checkpoint(tmp_path):
    steps = 4000  # more than it will make
    command = [sys.executable, "-W", "ignore", str(WORKER), str(tmp_path), str(steps)]
    process = subprocess.Popen(command, env=os.environ | {"OMP_NUM_THREADS": "1"})
    log = tmp_path / "log.jsonl"
    deadline = time.monotonic() + 120
    while not (log.exists() and log.read_text().count("\n") >= 3):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.kill()
    process.wait()
    seen = WGAN.load(tmp_path).steps
    assert 0 < seen < steps
    assert seen % SMALL["check_every"] == 0
    total = seen + 15
    # Rates depend on the budget: the run it is held against is made with the first one as well.
    whole = until(total, trained, "orthogonal", folder=tmp_path / "whole", steps=steps)
    gone_on = until(total, trained, "orthogonal", folder=tmp_path, steps=steps, resume=True)
    assert same(gone_on, whole)
    lines = [json.loads(line)["step"] for line in log.read_text().splitlines()]
    assert lines == [check.step for check in gone_on.history]


@pytest.mark.slow
def test_saved_and_loaded_is_the_same_run(tmp_path):
    run = trained("orthogonal")
    path = run.save(tmp_path / "run")
    loaded = WGAN.load(tmp_path / "run")
    assert same(run, loaded)
    assert np.array_equal(run.sample(7), loaded.sample(7))
    assert (loaded.w1, loaded.settings, loaded.message) == (run.w1, run.settings, run.message)
    assert path.name == "wgan.safetensors"
    assert not list((tmp_path / "run").glob("*.part"))


@pytest.mark.slow
def test_a_run_that_is_over_can_be_given_more_steps(tmp_path):
    trained("orthogonal", folder=tmp_path)
    more = trained("orthogonal", folder=tmp_path, resume=True, steps=60)
    assert more.steps == 60
    assert [check.step for check in more.history] == [10, 20, 30, 40, 50, 60]


@pytest.mark.parametrize("reason", ["interrupted", "diverged", "budget", "converged"])
def test_the_reason_of_the_end_is_kept_whatever_the_message_says(tmp_path, reason):
    run = trained("orthogonal", steps=2)
    assert run.stop_reason == "budget" and not (run.interrupted or run.diverged)
    run.stop_reason, run.message = reason, "interrupted: values are not finite"
    run.save(tmp_path)
    for one in (run, WGAN.load(tmp_path)):
        assert (one.stop_reason, one.message) == (reason, run.message)
        assert (one.interrupted, one.diverged) == (reason == "interrupted", reason == "diverged")


class TestFoldersThatDoNotFit:
    @pytest.mark.slow
    def test_a_run_is_not_overwritten(self, tmp_path):
        trained("orthogonal", folder=tmp_path)
        before = (tmp_path / "wgan.safetensors").read_bytes()
        with pytest.raises(InputError, match=r"folder: must not hold a run.*; use resume=True"):
            trained("orthogonal", folder=tmp_path)
        assert (tmp_path / "wgan.safetensors").read_bytes() == before

    @pytest.mark.slow
    @pytest.mark.parametrize(
        ("change", "said"),
        [
            ({"batch_size": 16}, r"batch_size: must be 32, as in the run of .*, got 16"),
            ({"constraint": "gp"}, r"constraint: must be 'orthogonal', .*, got 'gp'"),
            ({"seed": 4}, r"seed: must be 0, .*, got 4"),
        ],
    )
    def test_another_run_is_not_continued(self, tmp_path, change, said):
        trained("orthogonal", folder=tmp_path)
        before = (tmp_path / "wgan.safetensors").read_bytes()
        with pytest.raises(InputError, match=said):
            trained("orthogonal", folder=tmp_path, resume=True, **change)
        assert (tmp_path / "wgan.safetensors").read_bytes() == before

    @pytest.mark.slow
    def test_other_data_are_not_taken(self, tmp_path):
        trained("orthogonal", folder=tmp_path)
        with pytest.raises(InputError, match=r"data: must be the data of the run"):
            fit_wgan(cloud(seed=1), folder=tmp_path, resume=True, **SMALL)

    def test_nothing_to_go_on_with(self, tmp_path):
        with pytest.raises(InputError, match=r"folder: must hold a saved run"):
            trained("orthogonal", folder=tmp_path, resume=True)
        with pytest.raises(InputError, match=r"resume: needs the folder"):
            trained("orthogonal", resume=True)

    @pytest.mark.slow
    @pytest.mark.parametrize("damage", ["cut", "bit", "foreign", "text"])
    def test_a_damaged_or_foreign_file_is_named(self, tmp_path, damage):
        path = trained("orthogonal").save(tmp_path)
        content = bytearray(path.read_bytes())
        if damage == "cut":
            content = content[: len(content) // 2]
        elif damage == "bit":
            content[len(content) // 4] ^= 64  # within the header
        elif damage == "text":
            content = bytearray(b"not a run")
        else:
            from safetensors.torch import save

            content = bytearray(save({"a": torch.ones(2)}))
        path.write_bytes(bytes(content))
        with pytest.raises(
            InputError, match=r"folder: .*(wgan\.safetensors cannot be read|must hold a run of)"
        ):
            WGAN.load(tmp_path)
        assert path.read_bytes() == bytes(content)


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """What two processes have in the end."""
    folder = tmp_path_factory.mktemp("wgan")
    run_ranks("wgan_worker", folder)
    return [torch.load(folder / f"{rank}.pt", weights_only=False) for rank in range(2)]


@pytest.mark.slow
@pytest.mark.parametrize("case", [*CASES, *DATA_CASES])
def test_two_processes_have_the_same_networks(found, case):
    (one, history), (other, again) = (process[case] for process in found)
    assert all(torch.equal(tensor, other[name]) for name, tensor in one.items())
    assert history == again
    assert len(history) == STEPS // SMALL["check_every"]


@pytest.mark.slow
@pytest.mark.parametrize("case", [*CASES, *DATA_CASES])
def test_gradients_of_two_processes_are_those_of_one(found, case):
    alone, both = first_gradients(case), found[0][f"{case}, first step"]
    # The generator's follow a step of the critic, where Adam turns a gradient of rounding into a step.
    for network, near in (("optimiser.critic", 1e-5), ("optimiser.generator", 1e-3)):
        names = [name for name in alone if name.startswith(network)]
        largest = max(alone[name].norm() for name in names)
        assert all((both[name] - alone[name]).norm() <= near * largest for name in names)


@pytest.mark.slow
@pytest.mark.parametrize("case", [*CASES, *DATA_CASES])
def test_two_processes_draw_what_one_draws_and_end_near_it(found, case):
    run = trained(case)
    both, alone = found[0][case][0], checkpoint.collect_tensors(run.state)
    for name in alone:
        if name.startswith("random"):
            assert torch.equal(both[name], alone[name])
    points = run.sample_encoded(200)
    checkpoint.restore(run.state, both)
    assert np.abs(points - run.sample_encoded(200)).mean() < 0.02 * points.std()


@pytest.mark.slow
def test_processes_that_were_told_different_things_say_so(found):
    assert all(
        "seed: must be the same on all processes, differs between 0 and 1" in process["refused"]
        for process in found
    )
