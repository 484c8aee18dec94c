"""The learned loss of two processes, against that of one with all rows."""

from __future__ import annotations

import pytest
import torch
from ranks import run_ranks
from w1loss_worker import CASES, trained


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """What two processes found: one dictionary each."""
    folder = tmp_path_factory.mktemp("w1loss")
    run_ranks("w1loss_worker", folder)
    return [torch.load(folder / f"{rank}.pt", weights_only=True) for rank in range(2)]


# Places of the penalty are drawn on each process, and so others than on one.
@pytest.mark.slow
@pytest.mark.parametrize("case", [case for case in CASES if case != "gp"])
def test_two_processes_have_the_values_and_gradients_of_one(found, case):
    alone = trained(case, None)
    for process in found:
        for (value, grads), (expected, wanted) in zip(process[case]["steps"], alone["steps"], strict=True):
            assert value.item() == pytest.approx(expected.item(), rel=1e-4, abs=1e-6)
            for grad, want in zip(grads, wanted, strict=True):
                torch.testing.assert_close(grad, want, rtol=1e-3, atol=1e-3 * float(want.norm()))


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_both_processes_have_the_same_values_gradients_and_critic(found, case):
    one, other = (process[case] for process in found)
    for (value, grads), (same, again) in zip(one["steps"], other["steps"], strict=True):
        assert value == same
        assert all(torch.equal(grad, back) for grad, back in zip(grads, again, strict=True))
    assert one["critic"].keys() == other["critic"].keys()
    assert all(torch.equal(tensor, other["critic"][name]) for name, tensor in one["critic"].items())


@pytest.mark.slow
def test_in_evaluation_mode_one_process_may_call_alone(found):
    for case in CASES:
        value, held = found[0][case]["alone"]
        assert value == pytest.approx(held, rel=1e-5, abs=1e-6)


@pytest.mark.slow
def test_all_processes_raise_where_one_has_no_points(found):
    assert "cannot be used on process 1" in found[0]["said"]["labels"]
    assert "labels" in found[1]["said"]["labels"]


@pytest.mark.slow
def test_weights_belong_to_all_processes(found):
    for process in found:
        assert process["said"]["one weighted"].startswith("a: must be given on all processes or on none")
        assert process["said"]["no mass"].startswith("b: must have a positive sum")
        assert process["said"]["mass on one"] is None
