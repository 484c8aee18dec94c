"""All columns at once: W1 between rows, under the mean of the columns' scaled differences."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from otdist.budget import require_memory
from otdist.distance import w1
from otdist.lines import wasserstein_1d
from otdist.metrics import Metric, mixed
from otdist.result import Result
from otdist.stats.draws import MatrixPool, shrunk
from otdist.stats.null import add_one
from otdist.tables.columns import Column
from otdist.tables.comparison import ColumnReport, JointReport
from otdist.tables.measure import FLOOR_LEVEL

Array = NDArray[np.float64]
Pair = tuple[Column, Column]

TEST_DRAWS = 199  # each is an exact solve
FLOOR_DRAWS = 99


def joint(
    pairs: list[Pair],
    reports: list[ColumnReport],
    *,
    max_rows: int,
    test_rows: int,
    n_resamples: int,
    rng: np.random.Generator,
) -> JointReport | None:
    """Compare complete rows over the columns that have a scale."""
    used = [
        (pair, report)
        for pair, report in zip(pairs, reports, strict=True)
        if report.status == "ok" and 0 < report.scale < np.inf
    ]
    if not used:
        return None
    names = tuple(report.name for _, report in used)
    labelled = [report.kind == "categorical" for _, report in used]
    metric = mixed([report.scale for _, report in used], categorical=labelled)
    x, y = _encoded([pair for pair, _ in used])
    complete = [rows[np.isfinite(rows).all(axis=1)] for rows in (x, y)]
    if min(len(rows) for rows in complete) == 0:
        return None
    notes = _left_out(reports, names, (x, y), complete)
    x, y = (_subset(rows, max_rows, rng) for rows in complete)
    if len(x) < len(complete[0]) or len(y) < len(complete[1]):
        notes.append(f"W1 of a random {len(x):,} x {len(y):,} of the rows")
    result = _distance(x, y, metric)
    marginal = _marginal(x, y, [report for _, report in used])
    x, y = _subset(x, test_rows, rng), _subset(y, test_rows, rng)
    if len(x) < result.n or len(y) < result.m:
        notes.append(f"test on a random {len(x):,} x {len(y):,} of them")
    floor, pvalue = _chance(complete[0], x, y, metric, min(n_resamples, TEST_DRAWS), rng)
    return JointReport(
        result=result,
        marginal=marginal,
        floor=floor,
        pvalue=pvalue,
        columns=names,
        n_reference=result.n,
        n_current=result.m,
        n_test=min(len(x), len(y)),
        note="; ".join(notes),
    )


def _distance(x: Array, y: Array, metric: Metric) -> Result:
    # Weights say that a single row is one point, not a sample of one variable.
    return w1(x, y, np.ones(len(x)), np.ones(len(y)), metric=metric)


def _encoded(pairs: list[Pair]) -> tuple[Array, Array]:
    """Numbers for all columns: labels become codes, missing becomes NaN."""
    sides: tuple[list[Array], list[Array]] = ([], [])
    for pair in pairs:
        codes: dict[str, float] = {}
        for column, side in zip(pair, sides, strict=True):
            if column.values.dtype == object:
                values = [
                    np.nan if v is None else codes.setdefault(v, float(len(codes))) for v in column.values
                ]
                side.append(np.array(values))
            else:
                side.append(column.values.astype(np.float64))
    return np.column_stack(sides[0]), np.column_stack(sides[1])


def _left_out(
    reports: list[ColumnReport], used: tuple[str, ...], rows: tuple[Array, Array], complete: list[Array]
) -> list[str]:
    notes = []
    without = [report.name for report in reports if report.name not in used]
    if without:
        notes.append(f"without {', '.join(without)} (no scale)")
    gone = [len(all_rows) - len(kept) for all_rows, kept in zip(rows, complete, strict=True)]
    if any(gone):
        notes.append(f"{gone[0]:,} and {gone[1]:,} rows with missing values left out")
    return notes


def _subset(rows: Array, size: int, rng: np.random.Generator) -> Array:
    return rows if len(rows) <= size else rows[rng.choice(len(rows), size, replace=False)]


def _marginal(x: Array, y: Array, reports: list[ColumnReport]) -> float:
    distances = []
    for k, report in enumerate(reports):
        if report.kind == "categorical":
            size = int(max(x[:, k].max(), y[:, k].max())) + 1
            shares = [np.bincount(side[:, k].astype(np.intp), minlength=size) / len(side) for side in (x, y)]
            distances.append(float(np.abs(shares[0] - shares[1]).sum()) / 2)
        else:
            distances.append(wasserstein_1d(x[:, k], y[:, k]) / report.scale)
    return float(np.mean(distances))


def _chance(
    reference: Array, x: Array, y: Array, metric: Metric, n_resamples: int, rng: np.random.Generator
) -> tuple[float, float]:
    """Noise floor and p-value, both at the sizes of x and y where the reference allows it."""
    n, m = len(x), len(y)
    pooled = np.concatenate([x, y])
    require_memory(
        16 * len(pooled) ** 2, f"the joint test on {n} x {m} rows", "lower test_rows, or use joint=False"
    )
    null = MatrixPool(metric.matrix(pooled, pooled))(n, m, n_resamples, rng)
    pvalue = add_one(float(_distance(x, y, metric)), null)
    alone = _subset(reference, n + m, rng)
    if len(alone) < 2:
        return float("nan"), pvalue
    k, l = shrunk(n, m, len(alone))  # noqa: E741
    draws = MatrixPool(metric.matrix(alone, alone))(k, l, FLOOR_DRAWS, rng)
    return float(np.quantile(draws, FLOOR_LEVEL)), pvalue
