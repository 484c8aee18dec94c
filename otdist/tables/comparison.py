"""What ``compare`` answers: a row for each column, and one for all of them together."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from otdist.result import Result, plain

Kind = Literal["numeric", "boolean", "datetime", "categorical"]
Status = Literal["ok", "all_missing", "undefined_scale", "infinite"]


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


@dataclass(frozen=True, eq=False)
class ColumnReport:
    """How far one column moved.

    Attributes
    ----------
    name : str
        Column name.
    kind : {"numeric", "boolean", "datetime", "categorical"}
        How the column was read.
    status : {"ok", "all_missing", "undefined_scale", "infinite"}
        Anything but ``"ok"`` says why a figure below is NaN or infinite.
    w1 : float
        Wasserstein-1 distance in the column's own ``unit``; for categories the total
        variation (the share of rows that would have to change their label).
    scaled : float
        ``w1`` divided by ``scale``; equal to ``w1`` for booleans and categories.
    scale : float
        The scale of the reference (std, iqr, mad or range), in ``unit``.
    floor : float
        95th percentile of ``w1`` between two samples of the reference at these sizes: what
        sampling noise alone can show.
    pvalue, qvalue : float
        Permutation p-value (add-one rule), and the same controlled for the false discovery
        rate over all columns.
    n_reference, n_current : int
        Values that are present.
    missing_reference, missing_current : float
        Share of missing values, 0 to 1.
    unit : str
        ``""`` for numbers, ``"days"`` for dates, ``"share"`` for booleans and categories.
    note : str
        What a reader must know, such as labels that the reference has not seen.
    """

    name: str
    kind: Kind
    status: Status
    w1: float
    scaled: float
    scale: float
    floor: float
    pvalue: float
    n_reference: int
    n_current: int
    missing_reference: float
    missing_current: float
    qvalue: float = math.nan
    unit: str = ""
    note: str = ""
    sketch: Sketch | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers and strings; NaN and infinity become None and "inf"."""
        skip = {"sketch"}
        return {key: plain(value) for key, value in vars(self).items() if key not in skip}


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
    pvalue : float
        Permutation p-value of the test.
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

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers and strings."""
        own = {key: plain(value) for key, value in vars(self).items() if key != "result"}
        return {**own, "w1": plain(float(self.result)), "result": self.result.to_dict()}


@dataclass(frozen=True, eq=False)
class Comparison:
    """Two tables compared: a report per column, and a joint one.

    Attributes
    ----------
    columns : tuple of ColumnReport
        One report a column, in the order of the reference.
    joint : JointReport or None
        All columns together; None when no column or too few complete rows allow it.
    scale : str
        What ``scaled`` divides by.
    n_reference, n_current : int
        Rows of the two tables.
    n_resamples : int
        Permutations behind each p-value.
    notes : tuple of str
        Columns left out, columns reordered.
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

    def __getitem__(self, name: str) -> ColumnReport:
        for column in self.columns:
            if column.name == name:
                return column
        raise KeyError(f"{name!r} is no column; there are {[column.name for column in self.columns]}")

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers and strings, ready for JSON."""
        own = {key: plain(value) for key, value in vars(self).items() if key not in {"columns", "joint"}}
        return {
            **own,
            "columns": [column.to_dict() for column in self.columns],
            "joint": None if self.joint is None else self.joint.to_dict(),
        }

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
