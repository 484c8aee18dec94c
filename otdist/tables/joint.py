"""Joint W1 between rows, with the mean of the columns' scaled differences as ground metric."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

import numpy as np

from otdist.api.distance import w1
from otdist.api.line import wasserstein_1d
from otdist.metrics import Metric, mixed
from otdist.runtime.budget import require_memory
from otdist.runtime.progress import Progress, ignore_progress
from otdist.solvers.linear.simplex import transport_cost
from otdist.stats.draws import MatrixPool, shrink_sizes
from otdist.stats.relabelling import RelabellingTest, UnitsMatrix, advance
from otdist.tables.column_tests import FLOOR_LEVEL, Design
from otdist.tables.comparison import ColumnReport, JointReport
from otdist.tables.sample import RowSample, SampledPair, sample_rows
from otdist.typing import Array, Index, Mask

Rows = Index

JOINT_TEST_DRAWS = 199  # each is an exact solve
MAX_JOINT_DRAWS = 1999  # for tests without exceedances
ALL_CORES = -1  # n_jobs of joblib
JOINT_FLOOR_DRAWS = 59
MIN_JOINT_SCALE = 2.0**-960  # smallest scale by which a column can be divided


@dataclass(frozen=True, eq=False)
class Coordinates:
    """Columns of two tables as coordinates without missing values, with their scales.

    A column with missing values becomes two coordinates: its values, with missing ones at the median of the
    reference, and an indicator of missing values. Missing labels are a label of their own. So every row is
    used, and the distance is a metric. Gower's rule, which leaves out columns that are missing in either
    row, gives neither: rows that share few columns are close by accident, and a column that loses its values
    has no effect.
    """

    x: Array
    y: Array
    scales: Array
    categorical: Mask

    @classmethod
    def of(cls, pairs: Sequence[SampledPair]) -> Coordinates:
        """Encode columns that have a scale."""
        sides: tuple[list[Array], list[Array]] = ([], [])
        scales, categorical = [], []
        for pair in pairs:
            is_label = pair.sides[0].unordered
            masks = [column.missing for column in pair.sides]
            filler = float(len(pair.sides[0].labels)) if is_label else pair.filler
            for side, column, missing in zip(sides, pair.sides, masks, strict=True):
                side.append(np.where(missing, filler, column.values))
            scales.append(1.0 if is_label else pair.report.scale)
            categorical.append(is_label)
            if not is_label and pair.has_gaps:
                for side, missing in zip(sides, masks, strict=True):
                    side.append(missing.astype(np.float64))
                scales.append(1.0)
                categorical.append(True)
        x, y = (np.column_stack(side) for side in sides)
        return cls(x, y, np.array(scales), np.array(categorical))

    @property
    def metric(self) -> Metric:
        """Mean of the scaled differences."""
        return mixed(self.scales, categorical=self.categorical.tolist())

    def compute_marginal(self, i: Rows, j: Rows, a: Array | None, b: Array | None) -> float:
        """Compute the mean scaled W1 of the coordinates: a lower bound of the joint W1."""
        distances = []
        for k, is_label in enumerate(self.categorical):
            left, right = self.x[i, k], self.y[j, k]
            if is_label:
                size = int(max(left.max(), right.max())) + 1
                shares = [
                    np.bincount(side.astype(np.intp), w, size) / (len(side) if w is None else w.sum())
                    for side, w in ((left, a), (right, b))
                ]
                distances.append(float(np.abs(shares[0] - shares[1]).sum()) / 2)
            else:
                distances.append(wasserstein_1d(left, right, a, b) / self.scales[k])
        return float(np.mean(distances))


@dataclass(eq=False)
class JointTest:
    """Report on whole rows, and their test, which can be continued."""

    report: JointReport
    test: RelabellingTest

    def advance(self, total: int, report_progress: Progress = ignore_progress) -> None:
        """Relabel until the test has ended or used ``total`` draws."""
        advance([self.test], min(total, MAX_JOINT_DRAWS), report_progress)

    def make_report(self) -> JointReport:
        """Return the report with the p-value so far."""
        return replace(self.report, pvalue=self.test.pvalue, draws=self.test.draws)


def compare_rows(
    pairs: Sequence[SampledPair],
    sample: RowSample,
    design: Design,
    *,
    n_resamples: int,
    circular: Collection[str] = (),
    report_progress: Progress = ignore_progress,
) -> JointTest | None:
    """Compare rows over the columns that have a scale; None without such a column.

    Columns on a circle (``circular``) are left out.
    """
    used = [
        pair
        for pair in pairs
        if pair.report.status == "ok"
        and MIN_JOINT_SCALE < pair.report.scale < np.inf
        and not pair.report.identifier
        and pair.report.name not in circular
    ]
    if not used:
        return None
    rows = Coordinates.of(used)
    a, b = _select_weights(design, *sample.distance_rows)
    i, j = (sample.locate(side, indices) for side, indices in enumerate(sample.distance_rows))
    metric = rows.metric
    result = w1(rows.x[i], rows.y[j], *_fill_weights(a, b, len(i), len(j)), metric=metric)
    notes = _describe_columns(pairs, used)
    n, m = sample.sizes
    if len(i) < n or len(j) < m:
        notes.append(f"W1 of {len(i):,} of {n:,} and {len(j):,} of {m:,} rows, at random")
    test_rows = sample.test_rows
    if len(test_rows[0]) < len(i) or len(test_rows[1]) < len(j):
        notes.append(f"test on {len(test_rows[0]):,} and {len(test_rows[1]):,} of them")
    test = _make_test(rows, sample, design, metric)
    advance([test], min(n_resamples, JOINT_TEST_DRAWS), report_progress)
    report = JointReport(
        result=result,
        marginal=rows.compute_marginal(i, j, a, b),
        floor=_compute_floor(rows, sample, design, metric),
        pvalue=test.pvalue,
        columns=tuple(pair.report.name for pair in used),
        n_reference=result.n,
        n_current=result.m,
        n_test=min(map(len, test_rows)),
        note="; ".join(notes),
    )
    return JointTest(report, test)


def _select_weights(design: Design, i: Rows, j: Rows) -> tuple[Array | None, Array | None]:
    if design.weights is None:
        return None, None
    return design.weights[0][i], design.weights[1][j]


def _fill_weights(a: Array | None, b: Array | None, n: int, m: int) -> tuple[Array, Array]:
    # With explicit weights a single row is one point, not a sample of one variable.
    return (np.ones(n) if a is None else a), (np.ones(m) if b is None else b)


def _describe_columns(pairs: Sequence[SampledPair], used: list[SampledPair]) -> list[str]:
    notes = []
    others = [pair.report for pair in pairs if pair not in used]
    if others:
        notes.append(
            f"rows without {', '.join(f'{report.name} ({_explain_exclusion(report)})' for report in others)}"
        )
    if gaps := [pair.report.name for pair in used if pair.has_gaps]:
        notes.append(f"missing values count as values of their own ({', '.join(gaps)})")
    return notes


def _explain_exclusion(report: ColumnReport) -> str:
    if report.identifier:
        return "an identifier"
    if report.status == "ok" and report.scale > MIN_JOINT_SCALE:
        return "on a circle"
    return {"all_missing": "no values", "infinite": "infinite values"}.get(report.status, "no scale")


def _make_test(rows: Coordinates, sample: RowSample, design: Design, metric: Metric) -> RelabellingTest:
    rng = sample.rngs[0]
    x, y = rows.x[sample.locate(0, sample.test_rows[0])], rows.y[sample.locate(1, sample.test_rows[1])]
    n, m = len(x), len(y)
    pooled = np.concatenate([x, y])
    require_memory(
        16 * len(pooled) ** 2, f"the joint test on {n} x {m} rows", "lower test_rows, or use joint=False"
    )
    cost = metric.matrix(pooled, pooled)
    if design.simple:
        observed = transport_cost(cost[:n, n:])
        return RelabellingTest(_RowEngine(MatrixPool(cost, ALL_CORES), n, m, rng), 0, observed)
    units = design.pool_units(sample.to_masks(*sample.test_rows))
    engine = UnitsMatrix(cost, units, rng)
    return RelabellingTest(engine, 0, engine.measure(np.arange(units.n_units) < units.n_reference))


@dataclass(eq=False)
class _RowEngine:
    """Engine of relabellings of single rows."""

    pool: MatrixPool
    n: int
    m: int
    rng: np.random.Generator

    def draw(self, indices: Sequence[int], count: int) -> Array:
        """Return distances of ``count`` relabellings."""
        return np.asarray(self.pool(self.n, self.m, count, self.rng)[:, None])


def _compute_floor(rows: Coordinates, sample: RowSample, design: Design, metric: Metric) -> float:
    """Compute the noise floor at the sizes of the test, or at smaller ones for a short reference."""
    rng = sample.rngs[0]
    n, m = len(sample.test_rows[0]), len(sample.test_rows[1])
    floor_rows = sample.floor_rows[sample_rows(len(sample.floor_rows), n + m, rng)]
    if len(floor_rows) < 2:
        return float("nan")
    points = rows.x[sample.locate(0, floor_rows)]
    cost = metric.matrix(points, points)
    if design.simple:
        k, l = shrink_sizes(n, m, len(floor_rows))  # noqa: E741
        return float(np.quantile(MatrixPool(cost, ALL_CORES)(k, l, JOINT_FLOOR_DRAWS, rng), FLOOR_LEVEL))
    units = design.pool_units(sample.to_masks(floor_rows, np.array([], dtype=np.intp)))
    if units.n_reference < 2:
        return float("nan")
    pooled = design.pool_units(sample.to_masks(*sample.test_rows))
    k, _ = shrink_sizes(pooled.n_reference, pooled.n_units - pooled.n_reference, units.n_reference)
    draws = UnitsMatrix(cost, replace(units, n_reference=k), rng).draw([0], JOINT_FLOOR_DRAWS)
    draws = draws[~np.isnan(draws)]
    return float(np.quantile(draws, FLOOR_LEVEL)) if len(draws) else float("nan")
