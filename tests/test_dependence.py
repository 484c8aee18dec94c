"""Changes of correlations under relabelling, against NumPy's on each side."""

from __future__ import annotations

import numpy as np
import pytest

from otdist.stats.relabel import Units
from otdist.tables import dependence
from otdist.tables.dependence import ChangeOfCorrelations, Features


@pytest.mark.parametrize("count", [1, 30, 70, 99, 100])
@pytest.mark.parametrize("product", ["small", "large"])
def test_correlations_of_both_sides_are_numpys(count, product, rng, monkeypatch):
    if product == "large":
        monkeypatch.setattr(dependence, "SMALL_PRODUCT", 0)
    values = rng.normal(size=(100, 5)) @ rng.normal(size=(5, 5))
    mass = rng.random(100)
    features = Features(values, np.arange(5), tuple("abcde"))
    change = ChangeOfCorrelations(features, Units(np.arange(100), mass, 50, 100), rng)
    chosen = rng.permutation(100) < count
    for side, found in zip((chosen, ~chosen), change.correlations(chosen), strict=True):
        if side.sum() < 2:
            assert (found == 0).all()  # a feature that is constant here is correlated with nothing
            continue
        covariance = np.cov(values[side].T, aweights=mass[side], ddof=0)
        spread = np.sqrt(np.diag(covariance))
        expected = (covariance / np.outer(spread, spread))[features.pairs]
        np.testing.assert_allclose(found, expected, atol=1e-10)
