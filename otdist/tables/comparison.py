"""What ``compare`` answers: a row for each column, and one for all of them together."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from otdist.pages.words import number, probability, visible
from otdist.result import Result, plain

Kind = Literal["numeric", "boolean", "datetime", "categorical", "ordinal"]
Status = Literal["ok", "all_missing", "undefined_scale", "infinite", "gone", "new", "retyped", "unreadable"]
Verdict = Literal["moved", "not moved", "undecided", "not measured", "gone", "new", "retyped", "unreadable"]
SCHEMA: tuple[Verdict, ...] = ("gone", "new", "retyped", "unreadable")


@dataclass(frozen=True, eq=False)
class Sketch:
    """Enough of the two distributions of a column to draw them.

    For numbers and dates: ``levels`` in [0, 1] and the two quantile functions at these levels.
    For categories: ``labels`` and the two shares of each label.
    """

    reference: NDArray[np.float64]
    current: NDArray[np.float64]
    levels: NDArray[np.float64] | None = None
    labels: tuple[str, ...] | None = None


@dataclass(frozen=True, eq=False, repr=False)
class ColumnReport:
    """How far one column moved.

    Attributes
    ----------
    name : str
        Column name.
    kind : {"numeric", "boolean", "datetime", "categorical", "ordinal"}
        How the column was read.
    verdict : str
        "moved" or "not moved": whether ``qvalue`` is at most the level of the comparison; "undecided" if
        the column is further apart than all relabellings, and these were too few to tell; "not measured"
        if there is no p-value; "gone", "new", "retyped" or "unreadable" if there is nothing to compare.
    missing_verdict : str
        The same for the share of missing values: "moved", "not moved" or "undecided".
    status : str
        ``"ok"``, or why a figure below is NaN or infinite: "all_missing", "undefined_scale",
        "infinite", or as ``verdict``.
    w1 : float
        Wasserstein-1 distance in the column's own ``unit``; for categories the total
        variation (the share of rows that would have to change their label).
    scaled : float
        ``w1`` divided by ``scale``; equal to ``w1`` for booleans and categories.
    scale : float
        The scale of the reference (std, iqr, mad or range), in ``unit``.
    shift : float
        Mean of the current values minus mean of the reference, in ``unit``, at most ``w1`` in size; NaN
        for categories and on a circle.
    floor : float
        95th percentile of ``w1`` between two samples of the reference at these sizes: what
        sampling noise alone can show.
    pvalue, qvalue : float
        Permutation p-value, and the same controlled for the false discovery rate over all tests of
        the comparison: columns, shares of missing values, rows. Of a column with more than two labels, the
        test adds to W1 the shares of rows whose label the other side does not have.
    draws : int
        Relabellings behind the p-value; 0 where it is computed without.
    n_reference, n_current : int
        Values that are present.
    missing_reference, missing_current : float
        Share of missing values, 0 to 1.
    missing_pvalue, missing_qvalue : float
        Exact permutation p-value of the difference of these shares; NaN where no value is missing.
    unit : str
        ``""`` for numbers, ``"days"`` for dates, ``"steps"`` for ordered labels, ``"share"`` for
        booleans and categories.
    note : str
        What a reader must know, such as labels that the reference has not seen.
    identifier : bool
        Whether nearly every row has a label of its own: such a column tells rows apart, and says
        nothing of a distribution.
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
        figures = (
            f"W1 = {number(self.w1)}{f' {self.unit}' if self.unit else ''}, q = {probability(self.qvalue)}"
        )
        return f"<ColumnReport: {visible(self.name)}: {self.verdict}, {figures}>"

    def _repr_html_(self) -> str:
        from otdist.tables.frame import as_html_column

        return as_html_column(self)

    @property
    def moved(self) -> bool:
        """Whether anything about the column has changed: its values, its gaps, or its kind."""
        return self.verdict in ("moved", *SCHEMA) or self.missing_verdict == "moved"

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers and strings; NaN and infinity become None and "inf"."""
        skip = {"sketch"}
        own = {key: plain(value) for key, value in vars(self).items() if key not in skip}
        return {**own, "moved": self.moved}


@dataclass(frozen=True, eq=False)
class JointReport:
    """How far the rows moved, all columns together.

    The ground metric is the mean over columns of ``|difference| / scale`` (0 or 1 for labels), so
    the joint W1 is at least the mean of the columns' scaled W1 (``marginal``). The excess shows
    a change in how columns go together.

    Attributes
    ----------
    result : Result
        W1 with its proved interval, for the rows used.
    marginal : float
        Mean of the columns' own scaled W1, on the same rows: a lower bound of the joint W1.
    floor : float
        95th percentile between two samples of the reference, at the sizes of the test.
    pvalue, qvalue : float
        Permutation p-value of the test, and the same controlled for the false discovery rate over all
        tests of the comparison.
    draws : int
        Relabellings behind the p-value.
    verdict : str
        "moved", "not moved" or "undecided", as of a column.
    columns : tuple of str
        Columns that took part.
    n_reference, n_current : int
        Rows that the distance was computed on.
    n_test : int
        Rows a side that the permutation test was computed on.
    note : str
        Rows left out, and why.
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

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers and strings."""
        own = {key: plain(value) for key, value in vars(self).items() if key != "result"}
        return {**own, "w1": plain(float(self.result)), "result": self.result.to_dict()}


@dataclass(frozen=True, eq=False)
class DependenceReport:
    """The pair of columns whose rank correlation changed most.

    Attributes
    ----------
    columns : tuple of str
        The two; ``channel=web`` is a label, and ``price missing`` the gaps of a column.
    before, after : float
        Correlation of their ranks in the reference and in the current table.
    pvalue, qvalue : float
        Permutation p-value of the largest change over all pairs, and the same controlled for the false
        discovery rate over all tests of the comparison.
    draws : int
        Relabellings behind the p-value.
    verdict : str
        "moved", "not moved" or "undecided", as of a column.
    n_reference, n_current : int
        Rows that the correlations were computed on.
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
        """Whether columns go together otherwise than before."""
        return self.verdict == "moved"

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers and strings."""
        return {key: plain(value) for key, value in vars(self).items()}


@dataclass(frozen=True, eq=False, repr=False)
class Comparison:
    """Two tables compared: a report per column, and a joint one.

    Attributes
    ----------
    columns : tuple of ColumnReport
        One report a column, in the order of the reference; then those that are new.
    joint : JointReport or None
        All columns together; None when it was not asked for, or no column has a scale.
    dependence : DependenceReport or None
        The pair of columns whose correlation changed most; None as ``joint``, or for a single column.
    scale : str
        What ``scaled`` divides by.
    n_reference, n_current : int
        Rows of the two tables.
    n_resamples : int
        Relabellings behind each p-value, unless a column says otherwise.
    level : float
        False discovery rate at which a column counts as moved.
    tests : int
        Number of p-values that the q-values take into account.
    assumption : str
        What the p-values take for granted about the rows.
    seed : int or None
        Seed of the relabellings; None if a generator was given.
    notes : tuple of str
        Columns reordered, and what else a reader must know.
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
        """Columns whose values, gaps or kind have changed."""
        return tuple(column for column in self.columns if column.moved)

    @property
    def undecided(self) -> tuple[ColumnReport, ...]:
        """Columns that more relabellings would decide."""
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
        raise KeyError(f"{name!r} is no column; there are {[column.name for column in self.columns]}")

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers and strings, ready for JSON."""
        parts = {"columns", "joint", "dependence"}
        own = {key: plain(value) for key, value in vars(self).items() if key not in parts}
        return {
            **own,
            "dependence": None if self.dependence is None else self.dependence.to_dict(),
            "columns": [column.to_dict() for column in self.columns],
            "joint": None if self.joint is None else self.joint.to_dict(),
        }

    def to_frame(self) -> Any:
        """DataFrame with one row a column, of pandas or else polars."""
        from otdist.tables.frame import to_frame

        return to_frame(self)

    def to_json(self) -> str:
        """Strict JSON: no NaN, no Infinity."""
        return json.dumps(self.to_dict(), indent=2, allow_nan=False)

    def report(self, path: str | Path) -> Path:
        """Write one self-contained HTML page and return its absolute path."""
        from otdist.tables.report import write_report

        return write_report(self, Path(path))

    def __str__(self) -> str:
        from otdist.tables.terminal import as_text

        return as_text(self)

    def __repr__(self) -> str:
        from otdist.tables.frame import summary_line

        return summary_line(self)

    def _repr_html_(self) -> str:
        from otdist.tables.frame import as_html

        return as_html(self)
