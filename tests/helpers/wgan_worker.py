"""Small runs of the trainer that tests/learn/test_wgan_runs.py starts in processes of their own."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np
import torch
import torch.distributed as dist

from otdist.learn import fit_wgan
from otdist.learn.wgan import checkpoint

SMALL = {"batch_size": 32, "check_every": 10, "check_points": 16, "width": 16, "latent": 4, "device": "cpu"}
# Small steps, by which rounding is not magnified: what processes sum in another order stays near.
SMALL |= {"learning_rate": 1e-3, "critic_rate": 1e-3}
CASES = {
    "orthogonal": {},
    "gp": {"constraint": "gp", "batch_size": 34},
    "spectral": {"constraint": "spectral", "objective": "hinge"},
    "relativistic": {"objective": "relativistic"},
    "packed": {"packing": 3, "batch_size": 33},
}
# Of other data: classes beside points, and a table with labels and gaps.
DATA_CASES = {"classes": {"y": np.arange(200) % 3}, "table": {}}
STEPS = 40


def cloud(n=200, d=3, seed=0):
    """Points of two groups."""
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, d)) + 4.0 * rng.integers(2, size=(n, 1))


def table():
    """The same points with a column of labels and gaps."""
    points = cloud()
    gaps = np.where(np.arange(200) % 5, points[:, 1], np.nan)
    return {"number": points[:, 0], "gaps": gaps, "label": np.array(["a", "b", "c"])[np.arange(200) % 3]}


def trained(case, **more):
    """A run of a case."""
    data = table() if case == "table" else cloud()
    return fit_wgan(data, **(SMALL | {"steps": STEPS} | (CASES | DATA_CASES)[case] | more))


def same(one, other):
    """Whether two runs are the same to the bit, but for the clock."""
    left, right = (checkpoint.collect_tensors(run.state) for run in (one, other))
    assert left.keys() == right.keys()
    for name, tensor in left.items():
        assert torch.equal(tensor, right[name]), name
    without = [[check.to_dict() | {"seconds": 0} for check in run.history] for run in (one, other)]
    assert without[0] == without[1]
    assert (one.steps, one.state.n_critic, one.state.gaps) == (
        other.steps,
        other.state.n_critic,
        other.state.gaps,
    )
    return True


def first_gradients(case):
    """Gradients of the first step of critic and generator: without momentum Adam keeps them as its mean."""
    tensors = checkpoint.collect_tensors(trained(case, steps=1, n_critic=1).state)
    return {name: tensor for name, tensor in tensors.items() if name.endswith("exp_avg")}


def main(folder):
    """Every process trains its part of each case, and writes what it has in the end."""
    torch.set_num_threads(1)
    dist.init_process_group("gloo")
    rank = dist.get_rank()
    found = {}
    for case in (*CASES, *DATA_CASES):
        run = trained(case, folder=Path(folder) / case)
        found[case] = checkpoint.collect_tensors(run.state), [check.estimate for check in run.history]
        found[f"{case}, first step"] = first_gradients(case)
    try:
        trained("orthogonal", seed=rank)
    except ValueError as error:
        found["refused"] = str(error)
    torch.save(found, Path(folder) / f"{rank}.pt")
    dist.destroy_process_group()


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    torch.set_num_threads(1)
    trained("orthogonal", folder=sys.argv[1], steps=int(sys.argv[2]))  # until it is killed
