"""Several processes against one."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from ranks import run_ranks, torchrun
from sharded_worker import CASES, problem

import otdist
from otdist.learn import divergence, sharded_divergence

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "docs/scripts/sharded_sinkhorn.py"


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """What two processes found: one dictionary each."""
    folder = tmp_path_factory.mktemp("sharded")
    run_ranks("sharded_worker", folder)
    return [torch.load(folder / f"2-{rank}.pt") for rank in range(2)]


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_two_processes_give_the_value_and_the_gradients_of_one(found, case):
    data = [None if t is None else t.requires_grad_() for t in problem(case)]
    value, info = divergence(*data, tol=1e-9, **CASES[case])
    value.backward()
    for one in found:
        # Matrix products of other shapes round otherwise.
        if case == "20 columns":
            torch.testing.assert_close(one[case][0], value.detach(), rtol=1e-12, atol=0)
        else:
            assert one[case][0] == value and torch.equal(one[case][1], info["f"])
    for k, whole in enumerate(data):
        if whole is not None:
            parts = torch.cat([one[case][2][k] for one in found])
            torch.testing.assert_close(parts, whole.grad, rtol=1e-10, atol=1e-13)


@pytest.mark.slow
def test_all_processes_raise_for_the_bad_input_of_one(found):
    assert "nan" in found[0]["error"]
    assert "process 0" in found[1]["error"]


@pytest.mark.slow
def test_the_script_of_the_page_runs_by_the_command_of_the_page():
    page = (ROOT / "docs/sinkhorn_loss.md").read_text()
    command = re.search(r"^torchrun (.*)$", page, flags=re.MULTILINE).group(1).split()
    assert command[:-1] == ["--standalone", "--nproc-per-node", "2"] and command[-1] == SCRIPT.name
    lines = torchrun(2, SCRIPT).splitlines()
    printed = [line for line in lines if line.startswith("divergence")]
    assert len(printed) == 1 and printed[0] in page
    rng = torch.Generator().manual_seed(0)
    x, y = torch.randn(400, 3, generator=rng), torch.randn(300, 3, generator=rng) + 0.5
    value, _ = divergence(x, y, p=2)
    assert printed[0].startswith(f"divergence {value.item():.4f},")


def test_without_a_group_it_says_what_to_call():
    with pytest.raises(otdist.InputError, match="init_process_group"):
        sharded_divergence(torch.zeros(2, 1), torch.zeros(2, 1))


def test_second_derivatives_are_refused():
    dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
    try:
        x, y, a, _ = (t.requires_grad_() for t in problem("p=2"))
        value, _ = sharded_divergence(x, y, a, p=2)
        first = torch.autograd.grad(value, (x, a), create_graph=True)
        expected = torch.autograd.grad(divergence(x, y, a, p=2)[0], (x, a))
        for mine, theirs in zip(first, expected, strict=True):
            torch.testing.assert_close(mine, theirs, rtol=1e-6, atol=1e-8)
            with pytest.raises(otdist.InputError, match="sharded_divergence"):
                mine.sum().backward(retain_graph=True)
    finally:
        dist.destroy_process_group()
