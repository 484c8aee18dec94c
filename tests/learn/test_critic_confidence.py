"""Lower confidence bounds of a critic: closed forms, coverage, extreme scales."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.special import ndtri

from otdist.learn.critics.confidence import confidence_bounds


class TestConfidence:
    def test_closed_forms(self):
        rng = np.random.default_rng(0)
        of_x, of_y, level, diameter = rng.normal(1, 2, size=30), rng.exponential(size=50), 0.9, 7.0
        found = confidence_bounds(of_x, of_y, None, None, diameter, level)
        gap, n, m, alpha = of_x.mean() - of_y.mean(), 30, 50, 0.1
        error = math.sqrt(of_x.var(ddof=1) / n + of_y.var(ddof=1) / m)
        assert found.normal == pytest.approx(gap - ndtri(level) * error, rel=1e-12)
        width = math.sqrt(diameter**2 * (1 / n + 1 / m) * math.log(1 / alpha) / 2)
        assert found.hoeffding == pytest.approx(gap - width, rel=1e-12)
        log, rest = math.log(2 / (alpha / 2)), 0.0
        for values in (of_x, of_y):
            k = len(values)
            rest += math.sqrt(2 * values.var(ddof=1) * log / k) + 7 * diameter * log / (3 * (k - 1))
        assert found.bernstein == pytest.approx(gap - rest, rel=1e-12)
        assert (found.level, found.diameter) == (level, diameter)

    @pytest.mark.parametrize("weighted", [False, True])
    def test_the_normal_bound_covers_as_often_as_it_says(self, weighted):
        rng = np.random.default_rng(1)
        hits = 0
        for _ in range(2000):
            of_x, of_y = rng.normal(1.0, 2.0, size=150), rng.normal(0.2, 1.0, size=200)
            a = rng.uniform(0.5, 1.5, size=150) if weighted else None
            hits += confidence_bounds(of_x, of_y, a, None, 10.0, 0.95).normal <= 0.8
        assert 0.93 < hits / 2000 < 0.97

    @pytest.mark.parametrize("power", [-1000, 900])
    def test_values_whose_squares_over_or_underflow(self, power):
        rng = np.random.default_rng(2)
        of_x, of_y = rng.normal(1, 1, size=30), rng.normal(size=30)
        for diameter in (5.0, math.nan):
            plain = confidence_bounds(of_x, of_y, None, None, diameter, 0.95)
            given = (np.ldexp(part, power) for part in (of_x, of_y))
            far = confidence_bounds(*given, None, None, math.ldexp(diameter, power), 0.95)
            for one, other in zip(plain[1:], far[1:], strict=True):
                assert math.ldexp(one, power) == pytest.approx(other, rel=1e-9, nan_ok=True)
