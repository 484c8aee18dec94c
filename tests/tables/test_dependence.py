"""Changes of correlations under relabelling, against NumPy's on each side."""

from __future__ import annotations

import numpy as np
import pytest

from otdist.stats.relabelling import Units
from otdist.tables import dependence
from otdist.tables.dependence import CorrelationChangeEngine, Features


@pytest.mark.parametrize("count", [1, 30, 70, 99, 100])
@pytest.mark.parametrize("product", ["small", "large"])
def test_correlations_of_both_sides_are_numpys(count, product, rng, monkeypatch):
    if product == "large":
        monkeypatch.setattr(dependence, "MAX_SERIAL_PRODUCT", 0)
    values = rng.normal(size=(100, 5)) @ rng.normal(size=(5, 5))
    mass = rng.random(100)
    features = Features(values, np.arange(5), tuple("abcde"))
    change = CorrelationChangeEngine(features, Units(np.arange(100), mass, 50, 100), rng)
    selection = rng.permutation(100) < count
    for side, correlations in zip(
        (selection, ~selection), change.compute_correlations(selection), strict=True
    ):
        if side.sum() < 2:
            assert (correlations == 0).all()  # correlations with a constant feature are 0
            continue
        covariance = np.cov(values[side].T, aweights=mass[side], ddof=0)
        spread = np.sqrt(np.diag(covariance))
        expected = (covariance / np.outer(spread, spread))[features.pairs]
        np.testing.assert_allclose(correlations, expected, atol=1e-10)
