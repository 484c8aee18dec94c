"""One critic trained by several processes, against one process."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from critic_worker import CASES, fitted, samples
from ranks import run_ranks, torchrun

import otdist
from otdist.learn import Critic
from otdist.learn.critics import fit as fit_module

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "docs/scripts/critic_processes.py"
RECORDED = [*CASES, "streams", "resumed", "not finite", "seconds"]


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """What two processes found: one dictionary each."""
    folder = tmp_path_factory.mktemp("critics")
    run_ranks("critic_worker", folder)
    return [torch.load(folder / f"{rank}.pt", weights_only=False) for rank in range(2)]


@pytest.mark.slow
@pytest.mark.parametrize("case", RECORDED)
def test_both_processes_end_with_the_same_critic_and_history(found, case):
    one, other = (process[case] for process in found)
    assert one["state"].keys() == other["state"].keys()
    for name, tensor in one["state"].items():
        assert torch.equal(tensor, other["state"][name])
    for what in ("name", "history", "gaps", "trouble"):
        assert one[what] == other[what]
    np.testing.assert_array_equal(one["centre"], other["centre"])
    np.testing.assert_array_equal(one["confidence"], other["confidence"])


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_two_processes_give_the_critic_of_one(found, case):
    alone, both = fitted(case), found[0][case]
    assert both["name"] == alone.name
    steps = [(row["steps"], row["critic"]) for row in alone.history]
    assert [(row["steps"], row["critic"]) for row in both["history"]] == steps
    near = 1e-4  # sums over a batch in another order, and what some dozen steps make of it
    for name, gap in alone.gaps.items():
        assert abs(both["gaps"][name] - gap) <= near * abs(alone.gaps["train"])
    values = np.concatenate([alone(points) for points in samples(case)[:2]])
    alone.fitted.module.load_state_dict(both["state"])
    theirs = np.concatenate([alone(points) for points in samples(case)[:2]])
    # A critic is known up to a constant.
    difference = (theirs - theirs.mean()) - (values - values.mean())
    assert np.abs(difference).max() <= near * values.std()


@pytest.mark.slow
def test_a_run_on_given_samples_stops_early_on_both(found):
    last = found[1]["early stop"]["history"][-1]
    assert last["steps"] < 0.9 * CASES["early stop"]["steps"]


@pytest.mark.slow
def test_streams_are_shared_and_what_is_held_back_is_not(found):
    asked = [process["streams"]["asked"] for process in found]
    assert len(asked[0]) == len(asked[1])
    assert asked[0].count(51) == asked[1].count(50) > 2 * 30
    assert asked[0].count(16384) == asked[1].count(16384) >= 4
    assert found[0]["streams"]["gaps"]["test"] > 1.0  # the laws are 2 apart


@pytest.mark.slow
def test_values_of_one_process_that_are_not_finite_stop_all(found):
    assert "not finite" in found[0]["not finite"]["trouble"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("case", "said"),
    [
        ("other samples", "x: must be the same on all processes"),
        ("other options", "steps: must be the same on all processes"),
        ("same seed", "seed the source by the process's rank"),
    ],
)
def test_all_processes_raise_where_they_do_not_agree(found, case, said):
    for process in found:
        assert said in process[case]


def test_a_batch_smaller_than_the_number_of_processes_is_refused(monkeypatch):
    monkeypatch.setattr(fit_module, "rank_and_world_size", lambda: (0, 3))
    with pytest.raises(otdist.InputError, match="batch"):
        Critic(batch=2, steps=4).fit(*samples("a")[:2])


@pytest.mark.slow
def test_the_script_of_the_page_runs_by_the_command_of_the_page(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    page = (ROOT / "docs/critic.md").read_text()
    command = re.search(r"^torchrun (.*)$", page, flags=re.MULTILINE).group(1).split()
    assert command[:-1] == ["--standalone", "--nproc-per-node", "2"] and command[-1] == SCRIPT.name
    lines = torchrun(2, SCRIPT).splitlines()
    printed = [line for line in lines if line.startswith("held-out")]
    assert len(printed) == 1 and printed[0] in page
    assert 4.0 < Critic.load(tmp_path / "critic").gaps["validation"] < 5.1
