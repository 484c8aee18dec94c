"""Results of ``compare``: reports on each column, on whole rows and on correlations."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from otdist.pages.formatting import escape_unprintable, format_number, format_probability
from otdist.result import Result, to_plain
from otdist.typing import Array, DataFrame, Json

Kind = Literal["numeric", "boolean", "datetime", "categorical", "ordinal"]
Status = Literal["ok", "all_missing", "undefined_scale", "infinite", "gone", "new", "retyped", "unreadable"]
Verdict = Literal["moved", "not moved", "undecided", "not measured", "gone", "new", "retyped", "unreadable"]
SchemaVerdict = Literal["gone", "new", "retyped", "unreadable"]
SCHEMA_VERDICTS: tuple[SchemaVerdict, ...] = ("gone", "new", "retyped", "unreadable")


@dataclass(frozen=True, eq=False)
class Sketch:
    """Summary of the two distributions of a column for drawings.

    For numbers and dates: ``levels`` in [0, 1] and the two quantile functions at these levels.
    For categories: ``labels`` and the shares of each label on both sides.
    """

    reference: Array
    current: Array
    levels: Array | None = None
    labels: tuple[str, ...] | None = None


@dataclass(frozen=True, eq=False, repr=False)
class ColumnReport:
    """Distances and tests of one column.

    Attributes
    ----------
    name : str
        Column name.
    kind : {"numeric", "boolean", "datetime", "categorical", "ordinal"}
        Kind of the values.
    verdict : str
        "moved" or "not moved": whether ``qvalue`` is at most the level of the comparison; "undecided" if
        the distance exceeds that of all relabellings, and these were too few to decide; "not measured"
        if there is no p-value; "gone", "new", "retyped" or "unreadable" if there is nothing to compare.
    missing_verdict : str
        The same for the share of missing values: "moved", "not moved" or "undecided".
    status : str
        ``"ok"``, or the reason for values that are NaN or infinite: "all_missing", "undefined_scale",
        "infinite", or as ``verdict``.
    w1 : float
        Wasserstein-1 distance in the column's ``unit``; for categories the total
        variation (the share of rows that would have to change their label).
    scaled : float
        ``w1`` divided by ``scale``; equal to ``w1`` for booleans and categories.
    scale : float
        The scale of the reference (std, iqr, mad or range), in ``unit``.
    shift : float
        Mean of the current values minus mean of the reference, in ``unit``, at most ``w1`` in size; NaN
        for categories and on a circle.
    floor : float
        95th percentile of ``w1`` between two samples of the reference at these sizes: the level of
        sampling noise.
    pvalue, qvalue : float
        Permutation p-value, and the same controlled for the false discovery rate over all tests of
        the comparison: columns, shares of missing values, rows. For a column with more than two labels, the
        statistic adds to W1 the shares of rows whose label does not occur on the other side.
    draws : int
        Number of relabellings of the p-value; 0 for an exact p-value.
    n_reference, n_current : int
        Number of values that are not missing.
    missing_reference, missing_current : float
        Share of missing values, 0 to 1.
    missing_pvalue, missing_qvalue : float
        Exact permutation p-value of the difference of these shares; NaN where no value is missing.
    unit : str
        ``""`` for numbers, ``"days"`` for dates, ``"steps"`` for ordered labels, ``"share"`` for
        booleans and categories.
    note : str
        Remarks, such as on labels that are not in the reference.
    identifier : bool
        Whether nearly every row has a distinct label: such a column identifies rows, and is not
        informative about a distribution.
    """

    name: str
    kind: Kind | None
    status: Status
    w1: float = math.nan
    scaled: float = math.nan
    scale: float = math.nan
    floor: float = math.nan
    pvalue: float = math.nan
    n_reference: int = 0
    n_current: int = 0
    missing_reference: float = math.nan
    missing_current: float = math.nan
    qvalue: float = math.nan
    unit: str = ""
    note: str = ""
    sketch: Sketch | None = None
    shift: float = math.nan
    draws: int = 0
    missing_pvalue: float = math.nan
    missing_qvalue: float = math.nan
    verdict: Verdict = "not measured"
    missing_verdict: Verdict = "not moved"
    identifier: bool = False

    def __repr__(self) -> str:
        unit = f" {self.unit}" if self.unit else ""
        figures = f"W1 = {format_number(self.w1)}{unit}, q = {format_probability(self.qvalue)}"
        return f"<ColumnReport: {escape_unprintable(self.name)}: {self.verdict}, {figures}>"

    def _repr_html_(self) -> str:
        from otdist.tables.frame import column_to_html

        return column_to_html(self)

    @property
    def moved(self) -> bool:
        """Whether the values, the share of missing values or the kind have changed."""
        return self.verdict in ("moved", *SCHEMA_VERDICTS) or self.missing_verdict == "moved"

    def to_dict(self) -> dict[str, Json]:
        """Convert to plain numbers and strings; NaN and infinity become None and "inf"."""
        fields = to_plain({key: value for key, value in vars(self).items() if key != "sketch"})
        return {**fields, "moved": self.moved}


@dataclass(frozen=True, eq=False)
class JointReport:
    """Distance and test of whole rows, with all columns jointly.

    The ground metric is the mean over columns of ``|difference| / scale`` (0 or 1 for labels), so
    the joint W1 is at least the mean of the columns' scaled W1 (``marginal``). The excess indicates
    a change in the dependence of the columns.

    Attributes
    ----------
    result : Result
        W1 with its proved interval, for the rows used.
    marginal : float
        Mean of the columns' scaled W1, on the same rows: a lower bound of the joint W1.
    floor : float
        95th percentile between two samples of the reference, at the sizes of the test.
    pvalue, qvalue : float
        Permutation p-value of the test, and the same controlled for the false discovery rate over all
        tests of the comparison.
    draws : int
        Number of relabellings of the p-value.
    verdict : str
        "moved", "not moved" or "undecided", as for a column.
    columns : tuple of str
        Columns in the joint distance.
    n_reference, n_current : int
        Number of rows in the distance.
    n_test : int
        Number of rows a side in the permutation test.
    note : str
        Remarks on sampled rows, missing values and columns that are left out.
    """

    result: Result
    marginal: float
    floor: float
    pvalue: float
    columns: tuple[str, ...]
    n_reference: int
    n_current: int
    n_test: int
    note: str = ""
    qvalue: float = math.nan
    draws: int = 0
    verdict: Verdict = "not measured"

    @property
    def moved(self) -> bool:
        """Whether the rows have changed."""
        return self.verdict == "moved"

    def to_dict(self) -> dict[str, Json]:
        """Convert to plain numbers and strings."""
        fields = to_plain({key: value for key, value in vars(self).items() if key != "result"})
        return {**fields, "w1": to_plain(float(self.result)), "result": self.result.to_dict()}


@dataclass(frozen=True, eq=False)
class DependenceReport:
    """Pair of columns with the largest change of rank correlation.

    Attributes
    ----------
    columns : tuple of str
        Names; ``channel=web`` is the indicator of a label, ``price missing`` that of missing values.
    before, after : float
        Correlation of their ranks in the reference and in the current table.
    pvalue, qvalue : float
        Permutation p-value of the largest change over all pairs, and the same controlled for the false
        discovery rate over all tests of the comparison.
    draws : int
        Number of relabellings of the p-value.
    verdict : str
        "moved", "not moved" or "undecided", as for a column.
    n_reference, n_current : int
        Number of rows in the correlations.
    """

    columns: tuple[str, str]
    before: float
    after: float
    pvalue: float = math.nan
    qvalue: float = math.nan
    draws: int = 0
    verdict: Verdict = "not measured"
    n_reference: int = 0
    n_current: int = 0

    @property
    def moved(self) -> bool:
        """Whether the dependence of the columns has changed."""
        return self.verdict == "moved"

    def to_dict(self) -> dict[str, Json]:
        """Convert to plain numbers and strings."""
        return dict(to_plain(vars(self)))


@dataclass(frozen=True, eq=False, repr=False)
class Comparison:
    """Result of the comparison of two tables.

    Attributes
    ----------
    columns : tuple of ColumnReport
        One report for each column, in the order of the reference, followed by new columns.
    joint : JointReport or None
        Report on whole rows; None if it was not requested, or no column has a scale.
    dependence : DependenceReport or None
        Pair of columns with the largest change of correlation; None as ``joint``, or for a single column.
    scale : str
        Statistic that divides ``scaled``.
    n_reference, n_current : int
        Number of rows of the two tables.
    n_resamples : int
        Number of relabellings of each p-value, unless the report on a column differs.
    level : float
        False discovery rate at which a column counts as moved.
    tests : int
        Number of p-values that the q-values take into account.
    assumption : str
        Assumption of the p-values on the rows.
    seed : int or None
        Seed of the relabellings; None for a generator.
    notes : tuple of str
        Remarks on the tables, such as reordered columns.
    """

    columns: tuple[ColumnReport, ...]
    joint: JointReport | None
    scale: str
    n_reference: int
    n_current: int
    n_resamples: int
    reference_name: str = "reference"
    current_name: str = "current"
    notes: tuple[str, ...] = field(default=())
    level: float = 0.05
    tests: int = 0
    assumption: str = ""
    seed: int | None = None
    dependence: DependenceReport | None = None

    @property
    def moved(self) -> tuple[ColumnReport, ...]:
        """Columns whose values, shares of missing values or kinds have changed."""
        return tuple(column for column in self.columns if column.moved)

    @property
    def undecided(self) -> tuple[ColumnReport, ...]:
        """Columns that need more relabellings to be decided."""
        return tuple(
            column for column in self.columns if "undecided" in (column.verdict, column.missing_verdict)
        )

    def __iter__(self) -> Iterator[ColumnReport]:
        return iter(self.columns)

    def __len__(self) -> int:
        return len(self.columns)

    def __contains__(self, name: object) -> bool:
        return any(column.name == name for column in self.columns)

    def __getitem__(self, name: str) -> ColumnReport:
        for column in self.columns:
            if column.name == name:
                return column
        raise KeyError(f"{name!r} is not a column; choose from {[column.name for column in self.columns]}")

    def to_dict(self) -> dict[str, Json]:
        """Convert to plain numbers and strings, ready for JSON."""
        parts = {"columns", "joint", "dependence"}
        fields = to_plain({key: value for key, value in vars(self).items() if key not in parts})
        return {
            **fields,
            "dependence": None if self.dependence is None else self.dependence.to_dict(),
            "columns": [column.to_dict() for column in self.columns],
            "joint": None if self.joint is None else self.joint.to_dict(),
        }

    def to_frame(self) -> DataFrame:
        """Convert to a DataFrame with one row for each column, of pandas or else polars."""
        from otdist.tables.frame import to_frame

        return to_frame(self)

    def to_json(self) -> str:
        """Convert to strict JSON, without NaN and Infinity."""
        return json.dumps(self.to_dict(), indent=2, allow_nan=False)

    def report(self, path: str | Path) -> Path:
        """Write one self-contained HTML page and return its absolute path."""
        from otdist.tables.report import write_report

        return write_report(self, Path(path))

    def __str__(self) -> str:
        from otdist.tables.terminal import to_text

        return to_text(self)

    def __repr__(self) -> str:
        from otdist.tables.frame import format_summary_line

        return format_summary_line(self)

    def _repr_html_(self) -> str:
        from otdist.tables.frame import to_html

        return to_html(self)
