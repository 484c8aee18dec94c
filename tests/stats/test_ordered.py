"""Samples in order: quantiles, merging, W1 and groups as for samples in any order."""

from __future__ import annotations

import numpy as np
import pytest

import otdist
from otdist.stats import ordered, relabelling
from otdist.stats.relabelling import MAX_UNGROUPED_ROWS, TARGET_GROUPS, group_values

SAMPLES = {
    "normal": lambda rng, n: rng.normal(size=n),
    "ties": lambda rng, n: rng.poisson(4, n) * 1.0,
    "rounded": lambda rng, n: np.round(rng.lognormal(3, 1, n), 1),
    "constant": lambda rng, n: np.ones(n),
    "huge": lambda rng, n: rng.normal(size=n) * 1e300,
}


@pytest.mark.parametrize("name", SAMPLES)
@pytest.mark.parametrize("n", [1, 2, 3, 50, 1001])
def test_quantiles_and_median_are_those_of_numpy(rng, name, n):
    values = np.sort(SAMPLES[name](rng, n))
    levels = np.linspace(0, 1, 201)
    assert np.array_equal(ordered.quantiles(values, levels), np.quantile(values, levels))
    assert ordered.median(values) == np.median(values)


@pytest.mark.parametrize("name", SAMPLES)
@pytest.mark.parametrize("sizes", [(1, 1), (1, 90), (70, 3), (64, 64), (500, 401)])
def test_w1_is_that_of_samples_in_any_order(rng, monkeypatch, name, sizes):
    monkeypatch.setattr(ordered, "MERGE_BLOCK_VALUES", 50)
    x, y = (SAMPLES[name](rng, size) for size in sizes)
    sorted_x, sorted_y = np.sort(x), np.sort(y)
    assert ordered.wasserstein(sorted_x, sorted_y) == pytest.approx(otdist.wasserstein_1d(x, y), rel=1e-12)
    assert ordered.wasserstein(sorted_y, sorted_x) == pytest.approx(otdist.wasserstein_1d(x, y), rel=1e-12)
    assert np.array_equal(ordered.merge(sorted_x, sorted_y), np.sort(np.concatenate([x, y])))


def test_equal_samples_are_exactly_at_distance_zero(rng):
    x = np.sort(rng.normal(size=300))
    assert ordered.wasserstein(x, x) == 0
    assert ordered.wasserstein(x, np.repeat(x, 3)) == 0


@pytest.mark.parametrize("distinct", [1, 7, TARGET_GROUPS, TARGET_GROUPS + 1, MAX_UNGROUPED_ROWS + 5000])
def test_groups_do_not_depend_on_the_blocks_of_gaps(rng, monkeypatch, distinct):
    values = np.sort(rng.choice(np.cumsum(rng.exponential(size=distinct)), MAX_UNGROUPED_ROWS + 5000))
    whole = group_values(values)
    monkeypatch.setattr(relabelling, "GAP_BLOCK_VALUES", 777)
    for one, other in zip(group_values(values), whole, strict=True):
        assert np.array_equal(one, other)
    assert whole[1].sum() == len(values) and len(whole[1]) <= max(TARGET_GROUPS, 1)
