"""Processes with different numbers of rows, some with none: right values, or the same error on all."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import uneven_worker
from ranks import torchrun
from uneven_worker import LOSSES, points, trained

import otdist
from otdist.learn import divergence

pytestmark = pytest.mark.slow  # starts two processes


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """What two processes found: one dictionary each."""
    folder = tmp_path_factory.mktemp("uneven")
    torchrun(2, Path(uneven_worker.__file__), folder)
    return [torch.load(folder / f"{rank}.pt") for rank in range(2)]


@pytest.mark.parametrize("name", [*LOSSES, "apart"])
def test_losses_where_one_process_has_no_rows(found, name):
    alone = trained("exact" if name == "apart" else name, None, (0, 0))
    for step, (value, grad) in enumerate(alone):
        values = [one[name][step][0] for one in found]
        assert values[0] == values[1]
        grads = torch.cat([one[name][step][1] for one in found])
        if name != "gp":  # places of the penalty are drawn on each process
            assert values[0] == pytest.approx(value, rel=1e-5, abs=1e-6)
            torch.testing.assert_close(grads / 2, grad, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("name", ["divergence", "divergence apart"])
def test_the_sharded_divergence_where_one_process_has_no_rows(found, name):
    x, y = (z.double().requires_grad_() for z in points(0))
    value, _ = divergence(x, y, tol=1e-9)
    value.backward()
    for one in found:
        assert one[name][0] == pytest.approx(value.item(), rel=1e-12)
    for k, whole in ((1, x.grad), (2, y.grad)):
        torch.testing.assert_close(torch.cat([one[name][k] for one in found]), whole, rtol=1e-9, atol=1e-12)


def test_both_processes_raise_the_same_error_where_there_is_no_answer(found):
    for name, text in {
        "empty": "fake: must have rows, got none on any process",
        "gp apart": "no lines from one to the other",
        "shapes": "fake: must have points of the shape on process 0, got another shape on process 1",
        "sharded": "x: must have rows, got none on any process",
        "wgan": "batch_size: .* 2 processes",
    }.items():
        for one in found:
            with pytest.raises(AssertionError, match=text):
                raise AssertionError(one["said"][name])
    assert "cannot be used on process 1" in found[0]["said"]["type"]
    assert "real: must be a float tensor of points, got str" in found[1]["said"]["type"]


class TestMetric:
    @pytest.fixture
    def values(self, found):
        pytest.importorskip("torchmetrics")
        return [one["metrics"] for one in found]

    def test_a_process_without_a_batch(self, values):
        assert [one["one has none"] for one in values] == [pytest.approx(1.0)] * 2
        assert [one["more"] for one in values] == [pytest.approx(1.0)] * 2

    def test_different_numbers_of_updates(self, values):
        parts = [points(seed) for seed in (0, 1, 2, 10)]
        exact = float(otdist.w1(*(torch.cat(side) for side in zip(*parts, strict=True))))
        assert [one["updates"] for one in values] == [pytest.approx(exact, rel=1e-12)] * 2

    def test_errors_on_both(self, values):
        for one in values:
            assert "must have rows" in one["none"]
            assert "must have 2 columns like process 0, got 3 on process 1" in one["columns"]
