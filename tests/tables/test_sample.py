"""Rows drawn for the joint test and the test of correlations."""

from __future__ import annotations

import numpy as np
import pytest

import otdist
from otdist.stats.relabelling import MAX_UNGROUPED_ROWS
from otdist.tables.column import Column
from otdist.tables.sample import MAX_DEPENDENCE_ROWS, RowSample

LARGE = MAX_UNGROUPED_ROWS + 4000


def table(seed, rows):
    rng = np.random.default_rng(seed)
    a = rng.normal(size=rows)
    b = np.where(rng.random(rows) < 0.1, np.nan, a + rng.normal(size=rows))
    return {"a": a, "b": b, "l": rng.choice(["x", "y", "z"], rows).tolist()}


@pytest.mark.parametrize("sizes", [(5, 9), (3000, 2500), (LARGE, 900), (900, LARGE), (LARGE, LARGE + 7)])
def test_the_rows_that_are_drawn_are_kept_at_their_places(sizes):
    sample = RowSample.draw(sizes, 3, 2000, 500)
    for side, size in enumerate(sizes):
        values = np.random.default_rng(side).normal(size=size)
        stored = Column("a", "numeric", values).take(sample.stored_rows[side]).values
        assert len(stored) == size if size <= MAX_UNGROUPED_ROWS else len(stored) <= 6000
        parts = [sample.distance_rows[side], sample.test_rows[side], sample.correlation_rows[side]]
        for rows in [*parts, sample.floor_rows] if side == 0 else parts:
            assert len(np.unique(rows)) == len(rows)
            assert np.array_equal(stored[sample.locate(side, rows)], values[rows])
        assert len(sample.distance_rows[side]) == min(size, 2000) and len(sample.test_rows[side]) == min(
            size, 500
        )
        assert np.isin(sample.test_rows[side], sample.distance_rows[side]).all()
        assert len(sample.correlation_rows[side]) == min(size, MAX_DEPENDENCE_ROWS)


@pytest.mark.slow
@pytest.mark.parametrize("options", [{}, {"blocks": 1000}])
def test_rows_that_are_not_kept_change_nothing(monkeypatch, options):
    sides = table(1, LARGE), table(2, LARGE - 1500)
    few = {"n_resamples": 19, "max_rows": 60, "test_rows": 40, **options}
    report = otdist.compare(*sides, **few).to_dict()
    monkeypatch.setattr("otdist.tables.sample._merge_rows", lambda count, *parts: np.arange(count))
    assert otdist.compare(*sides, **few).to_dict() == report
    assert report["dependence"]["n_reference"] == MAX_DEPENDENCE_ROWS


def test_figures_of_long_columns_are_those_of_all_rows():
    sides = table(1, LARGE), table(2, LARGE - 1500)
    report = otdist.compare(*sides, n_resamples=19, joint=False)
    x, y = (side["b"][~np.isnan(side["b"])] for side in sides)
    assert report["b"].w1 == pytest.approx(otdist.wasserstein_1d(x, y), rel=1e-12)
    assert report["b"].scale == np.std(x) and report["b"].shift == np.mean(y) - np.mean(x)
    assert np.array_equal(report["b"].sketch.reference, np.quantile(x, report["b"].sketch.levels))
    shares = [np.array([side["l"].count(label) for label in "xyz"]) / len(side["l"]) for side in sides]
    assert report["l"].w1 == pytest.approx(np.abs(shares[0] - shares[1]).sum() / 2, rel=1e-12)
