"""All columns at once: W1 between rows, under the mean of the columns' scaled differences."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from otdist.budget import require_memory
from otdist.distance import w1
from otdist.lines import wasserstein_1d
from otdist.metrics import Metric, mixed
from otdist.progress import Progress, ignore_progress
from otdist.solvers.simplex import transport_cost
from otdist.stats.draws import MatrixPool, shrunk
from otdist.stats.relabel import RelabellingTest, UnitsMatrix, advance
from otdist.tables.chance import FLOOR_LEVEL, Design
from otdist.tables.comparison import ColumnReport, JointReport
from otdist.tables.sample import RowSample, SampledPair, some_rows

Array = NDArray[np.float64]
Rows = NDArray[np.intp]

TEST_DRAWS = 199  # each is an exact solve
MOST_DRAWS = 1999  # where all of them are nearer than the data
ALL_CORES = -1  # for joblib
FLOOR_DRAWS = 59
LEAST_SCALE = 2.0**-960  # of a column that can be divided by it


@dataclass(frozen=True, eq=False)
class Coordinates:
    """Columns of two tables as numbers without gaps, and how far apart two values are.

    A column with gaps becomes two: its values, with the gaps at the median of the reference, and whether
    a value is missing. Missing labels are a label. So every row counts, and the distance stays a metric.
    Gower's rule, which leaves out the columns in which either row has a gap, gives neither: rows that share
    few columns are near by accident, and a column that loses its values counts for nothing.
    """

    x: Array
    y: Array
    scales: Array
    labelled: NDArray[np.bool_]

    @classmethod
    def of(cls, pairs: Sequence[SampledPair]) -> Coordinates:
        """Encode columns that have a scale."""
        sides: tuple[list[Array], list[Array]] = ([], [])
        units, labelled = [], []
        for pair in pairs:
            label = pair.sides[0].unordered
            gaps = [column.missing for column in pair.sides]
            filler = float(len(pair.sides[0].labels)) if label else pair.filler
            for side, column, missing in zip(sides, pair.sides, gaps, strict=True):
                side.append(np.where(missing, filler, column.values))
            units.append(1.0 if label else pair.report.scale)
            labelled.append(label)
            if not label and pair.has_gaps:
                for side, missing in zip(sides, gaps, strict=True):
                    side.append(missing.astype(np.float64))
                units.append(1.0)
                labelled.append(True)
        return cls(np.column_stack(sides[0]), np.column_stack(sides[1]), np.array(units), np.array(labelled))

    @property
    def metric(self) -> Metric:
        """Mean of the scaled differences."""
        return mixed(self.scales, categorical=self.labelled.tolist())

    def marginal(self, i: Rows, j: Rows, a: Array | None, b: Array | None) -> float:
        """Mean of the coordinates' own scaled distances: a lower bound of the distance between rows."""
        distances = []
        for k, label in enumerate(self.labelled):
            left, right = self.x[i, k], self.y[j, k]
            if label:
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
    """The rows compared, and the test that may go on."""

    report: JointReport
    test: RelabellingTest

    def advance(self, total: int, report_progress: Progress = ignore_progress) -> None:
        """Relabel further."""
        advance([self.test], min(total, MOST_DRAWS), report_progress)

    def finished(self) -> JointReport:
        """Return the report with the p-value so far."""
        return replace(self.report, pvalue=self.test.pvalue, draws=self.test.draws)


def joint(
    pairs: Sequence[SampledPair],
    sample: RowSample,
    design: Design,
    *,
    n_resamples: int,
    circular: Collection[str] = (),
    report_progress: Progress = ignore_progress,
) -> JointTest | None:
    """Compare rows over the columns that have a scale; None where there is no such column.

    circular : columns on a circle, which are left out.
    """
    used = [
        pair
        for pair in pairs
        if pair.report.status == "ok"
        and LEAST_SCALE < pair.report.scale < np.inf
        and not pair.report.identifier
        and pair.report.name not in circular
    ]
    if not used:
        return None
    rows = Coordinates.of(used)
    a, b = _weights(design, *sample.compared)
    i, j = (sample.places(side, chosen) for side, chosen in enumerate(sample.compared))
    metric = rows.metric
    result = w1(rows.x[i], rows.y[j], *_or_ones(a, b, len(i), len(j)), metric=metric)
    notes = _notes(pairs, used)
    n, m = sample.sizes
    if len(i) < n or len(j) < m:
        notes.append(f"W1 of {len(i):,} of {n:,} and {len(j):,} of {m:,} rows, at random")
    tested = sample.tested
    if len(tested[0]) < len(i) or len(tested[1]) < len(j):
        notes.append(f"test on {len(tested[0]):,} and {len(tested[1]):,} of them")
    test = _test(rows, sample, design, metric)
    advance([test], min(n_resamples, TEST_DRAWS), report_progress)
    report = JointReport(
        result=result,
        marginal=rows.marginal(i, j, a, b),
        floor=_floor(rows, sample, design, metric),
        pvalue=test.pvalue,
        columns=tuple(pair.report.name for pair in used),
        n_reference=result.n,
        n_current=result.m,
        n_test=min(map(len, tested)),
        note="; ".join(notes),
    )
    return JointTest(report, test)


def _weights(design: Design, i: Rows, j: Rows) -> tuple[Array | None, Array | None]:
    if design.weights is None:
        return None, None
    return design.weights[0][i], design.weights[1][j]


def _or_ones(a: Array | None, b: Array | None, n: int, m: int) -> tuple[Array, Array]:
    # Weights say that a single row is one point, not a sample of one variable.
    return (np.ones(n) if a is None else a), (np.ones(m) if b is None else b)


def _notes(pairs: Sequence[SampledPair], used: list[SampledPair]) -> list[str]:
    notes = []
    others = [pair.report for pair in pairs if pair not in used]
    if others:
        notes.append(f"rows without {', '.join(f'{report.name} ({_reason(report)})' for report in others)}")
    if gaps := [pair.report.name for pair in used if pair.has_gaps]:
        notes.append(f"missing values count as values of their own ({', '.join(gaps)})")
    return notes


def _reason(report: ColumnReport) -> str:
    if report.identifier:
        return "an identifier"
    if report.status == "ok" and report.scale > LEAST_SCALE:
        return "on a circle"
    return {"all_missing": "no values", "infinite": "infinite values"}.get(report.status, "no scale")


def _test(rows: Coordinates, sample: RowSample, design: Design, metric: Metric) -> RelabellingTest:
    rng = sample.rngs[0]
    x, y = rows.x[sample.places(0, sample.tested[0])], rows.y[sample.places(1, sample.tested[1])]
    n, m = len(x), len(y)
    pooled = np.concatenate([x, y])
    require_memory(
        16 * len(pooled) ** 2, f"the joint test on {n} x {m} rows", "lower test_rows, or use joint=False"
    )
    cost = metric.matrix(pooled, pooled)
    if design.simple:
        observed = transport_cost(cost[:n, n:])
        return RelabellingTest(_ByRows(MatrixPool(cost, ALL_CORES), n, m, rng), 0, observed)
    units = design.pooled(sample.masks(*sample.tested))
    engine = UnitsMatrix(cost, units, rng)
    return RelabellingTest(engine, 0, engine.measure(np.arange(units.count) < units.first))


@dataclass(eq=False)
class _ByRows:
    """Relabellings of single rows."""

    pool: MatrixPool
    n: int
    m: int
    rng: np.random.Generator

    def draw(self, which: Sequence[int], count: int) -> Array:
        """Distances of ``count`` relabellings."""
        return np.asarray(self.pool(self.n, self.m, count, self.rng)[:, None])


def _floor(rows: Coordinates, sample: RowSample, design: Design, metric: Metric) -> float:
    """Noise floor at the sizes of the test, where the reference allows it."""
    rng = sample.rngs[0]
    n, m = len(sample.tested[0]), len(sample.tested[1])
    alone = sample.floor[some_rows(len(sample.floor), n + m, rng)]
    if len(alone) < 2:
        return float("nan")
    points = rows.x[sample.places(0, alone)]
    cost = metric.matrix(points, points)
    if design.simple:
        k, l = shrunk(n, m, len(alone))  # noqa: E741
        return float(np.quantile(MatrixPool(cost, ALL_CORES)(k, l, FLOOR_DRAWS, rng), FLOOR_LEVEL))
    units = design.pooled(sample.masks(alone, np.array([], dtype=np.intp)))
    if units.first < 2:
        return float("nan")
    both = design.pooled(sample.masks(*sample.tested))
    k, _ = shrunk(both.first, both.count - both.first, units.first)
    draws = UnitsMatrix(cost, replace(units, first=k), rng).draw([0], FLOOR_DRAWS)
    known = draws[~np.isnan(draws)]
    return float(np.quantile(known, FLOOR_LEVEL)) if len(known) else float("nan")
