"""W1 as a metric of torchmetrics: batches, processes, state, where torchmetrics is installed."""

import doctest
import importlib
import pickle
import sys

import numpy as np
import pytest
from metric_worker import batches
from ranks import run_ranks

import otdist
from otdist.errors import InputError

torch = pytest.importorskip("torch")


def test_without_torchmetrics_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "torchmetrics", None)
    monkeypatch.delitem(sys.modules, "otdist.learn.w1metric", raising=False)
    with pytest.raises(ImportError, match=r"needs torchmetrics: pip install .otdist\[torchmetrics"):
        importlib.import_module("otdist.learn.w1metric")


@pytest.fixture
def metric():
    pytest.importorskip("torchmetrics")
    from otdist.learn.w1metric import W1Metric

    return W1Metric


def whole(parts, side):
    return torch.cat([part[side] for part in parts])


@pytest.mark.slow
def test_the_value_is_that_of_all_rows_not_a_mean_of_batches(metric):
    found = metric()
    for fake, real in batches():
        found.update(fake, real)
    exact = otdist.w1(whole(batches(), 0), whole(batches(), 1))
    value = found.compute()
    assert value.dtype == torch.float64 and value.shape == ()
    assert float(value) == pytest.approx(float(exact), rel=1e-12)
    assert found.interval[0] <= float(value) <= found.interval[1]
    means = [float(otdist.w1(*pair, np.ones(len(pair[0])), np.ones(len(pair[1])))) for pair in batches()]
    assert np.mean(means) > 1.2 * float(value)


@pytest.mark.slow
def test_forward_gives_the_batch_and_reset_forgets(metric):
    found = metric()
    first, second = batches()[:2]
    assert float(found(*first)) == pytest.approx(float(otdist.w1(*first)))
    found(*second)
    both = otdist.w1(whole([first, second], 0), whole([first, second], 1))
    assert float(found.compute()) == pytest.approx(float(both))
    found.reset()
    with pytest.warns(UserWarning, match="before"), pytest.raises(InputError, match="update"):
        found.compute()


def test_options_go_to_the_solver_and_rows_may_be_limited(metric):
    found = metric(max_rows=25, solver={"metric": "cityblock"})
    for fake, real in batches():
        found.update(fake, real)
    fake, real = whole(batches(), 0)[:25], whole(batches(), 1)[:25]
    assert float(found.compute()) == pytest.approx(float(otdist.w1(fake, real, metric="cityblock")))
    with pytest.raises(InputError, match="max_rows"):
        metric(max_rows=0)


def test_images_are_rows_and_a_single_row_is_one_point(metric):
    found = metric()
    found.update(torch.zeros(1, 2, 2), torch.ones(1, 2, 2))
    assert float(found.compute()) == pytest.approx(2.0)


def test_it_can_be_pickled_cloned_and_moved(metric):
    found = metric(max_rows=1000)
    found.update(*batches()[0])
    found.compute()
    copy = pickle.loads(pickle.dumps(found.clone().to("cpu")))
    copy.update(*batches()[1])
    found.update(*batches()[1])
    assert float(copy.compute()) == float(found.compute())


def test_it_stands_in_a_collection(metric):
    from torchmetrics import MetricCollection

    together = MetricCollection(
        {"w1": metric(), "l1": metric(solver={"metric": "cityblock"})}, compute_groups=False
    )
    for fake, real in batches():
        together.update(fake, real)
    values = together.compute()
    assert values["w1"] < values["l1"]


@pytest.mark.parametrize(
    ("fake", "real", "said"),
    [
        (torch.arange(4), torch.zeros(4, 3), "labels"),
        (torch.zeros(4, 2), torch.zeros(4, 3), "real: must have 2 columns like the others, got 3"),
        (torch.full((4, 3), torch.nan), torch.zeros(4, 3), "fake: must be finite, row 0 is not"),
    ],
)
def test_bad_batches_are_refused_and_change_nothing(metric, fake, real, said):
    found = metric()
    with pytest.raises(InputError, match=said):
        found.update(fake, real)
    found.update(*batches()[0])
    with pytest.raises(InputError, match="columns"):
        found.update(torch.zeros(4, 5), torch.zeros(4, 5))
    assert float(found.compute()) == pytest.approx(float(otdist.w1(*batches()[0])))


def test_its_example_runs(metric):
    import otdist.learn.w1metric as module

    assert doctest.testmod(module).failed == 0 and doctest.testmod(module).attempted > 0


@pytest.mark.slow
def test_two_processes_give_the_value_of_all_their_rows(metric, tmp_path):
    run_ranks("metric_worker", tmp_path)
    values = [float.fromhex((tmp_path / f"{rank}.txt").read_text()) for rank in range(2)]
    parts = batches(0) + batches(1)
    exact = float(otdist.w1(whole(parts, 0), whole(parts, 1)))
    assert values == [pytest.approx(exact, rel=1e-12)] * 2
