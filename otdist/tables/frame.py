"""Comparisons as DataFrames, in one line, and as HTML for notebooks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from otdist.pages.dataframes import make_frame
from otdist.pages.formatting import escape_unprintable, format_interval, format_number, format_probability
from otdist.pages.notebook import render_line, render_table
from otdist.tables.comparison import SCHEMA_VERDICTS
from otdist.tables.summary import (
    describe_change,
    describe_dependence,
    describe_joint,
    describe_missing,
    describe_status,
    summarise_comparison,
)
from otdist.typing import DataFrame

if TYPE_CHECKING:
    from otdist.tables.comparison import ColumnReport, Comparison

EXCLUDED_FIELDS = frozenset({"sketch"})  # fields that are left out of DataFrames


def to_frame(comparison: Comparison) -> DataFrame:
    """Convert a comparison to a DataFrame with one row for each column, in the order of the report.

    Parameters
    ----------
    comparison : Comparison
        Result of ``otdist.compare``.

    Returns
    -------
    DataFrame
        Fields of each :class:`ColumnReport` except its sketch, and ``moved``; NaN stays NaN. Of pandas if
        it is imported, of polars if only that is; otherwise of the first that is installed.

    Raises
    ------
    InputError
        If neither is installed.

    Examples
    --------
    >>> import otdist
    >>> from otdist.tables.frame import to_frame
    >>> report = otdist.compare({"a": [1.0, 2.0]}, {"a": [3.0, 4.0]}, joint=False, n_resamples=9)
    >>> list(to_frame(report)["w1"])
    [2.0]
    """
    rows = [_make_record(column) for column in comparison.columns]
    names = list(rows[0]) if rows else []
    return make_frame({name: [row[name] for row in rows] for name in names})


def format_summary_line(comparison: Comparison) -> str:
    """Summarise a comparison in one line: names, rows, and the number of moved columns.

    Parameters
    ----------
    comparison : Comparison
        Result of ``otdist.compare``.

    Returns
    -------
    str
        Such as ``<Comparison: reference -> current, 40 -> 30 rows: 1 of 3 columns moved ...>``.
    """
    return escape_unprintable(
        f"<Comparison: {_format_names(comparison)}: {summarise_comparison(comparison)}>"
    )


def to_html(comparison: Comparison) -> str:
    """Return an HTML table for notebooks, with the joint distance below.

    Parameters
    ----------
    comparison : Comparison
        Result of ``otdist.compare``.

    Returns
    -------
    str
        HTML in the colours of the notebook: moved columns are bold and starred; the first 30 columns are
        shown.
    """
    header = ("", "column", "kind", "change", "W1", "unit", "W1/scale", "floor", "p", "q", "missing")
    columns = sorted(comparison.columns, key=lambda column: not column.moved)
    rows = [_format_cells(column) for column in columns]
    notes = [
        f"{column.name}: {describe_status(column)}"
        for column in comparison.columns
        if describe_status(column)
    ]
    return render_table(
        header,
        rows,
        caption=f"{_format_names(comparison)}: {summarise_comparison(comparison)}",
        notes=(*_format_joint(comparison), *notes[:5], *comparison.notes, _format_legend(comparison)),
        bold=[column.moved for column in columns],
        words=(0, 1, 2, 3, 5),
    )


def column_to_html(column: ColumnReport) -> str:
    """Return an HTML line for notebooks on one column.

    Parameters
    ----------
    column : ColumnReport
        Report of ``otdist.compare`` on one column.

    Returns
    -------
    str
        HTML in the colours of the notebook.
    """
    unit = f" {column.unit}" if column.unit else ""
    figure = f"{column.name}: W1 = {format_number(column.w1)}{unit}"
    badge: str = "within sampling noise" if column.verdict == "not moved" else column.verdict
    if column.missing_verdict == "moved":
        badge = f"{badge}, missing values {describe_missing(column)}"
    detail = (
        f"W1/scale {format_number(column.scaled)}, floor {format_number(column.floor)}, "
        f"p {format_probability(column.pvalue)}, q {format_probability(column.qvalue)}, {column.kind}, "
        f"n={column.n_reference}/{column.n_current}"
    )
    return render_line(figure, badge, detail, describe_status(column))


def _make_record(column: ColumnReport) -> dict[str, object]:
    fields = {name: value for name, value in vars(column).items() if name not in EXCLUDED_FIELDS}
    return {**fields, "moved": column.moved}


def _format_names(comparison: Comparison) -> str:
    names = f"{comparison.reference_name} -> {comparison.current_name}"
    return f"{names}, {comparison.n_reference:,} -> {comparison.n_current:,} rows"


def _format_cells(column: ColumnReport) -> tuple[str, ...]:
    figures = (
        format_number(column.w1),
        column.unit,
        format_number(column.scaled),
        format_number(column.floor),
    )
    tests = (format_probability(column.pvalue), format_probability(column.qvalue))
    change = describe_change(column) if column.verdict not in SCHEMA_VERDICTS else column.verdict
    star = "*" if column.moved else ""
    return (star, column.name, column.kind or "", change, *figures, *tests, describe_missing(column))


def _format_joint(comparison: Comparison) -> list[str]:
    joint = comparison.joint
    if joint is None:
        return []
    result = joint.result
    proof = "exact" if result._is_exact else f"proved interval {format_interval(result.lower, result.upper)}"
    text = (
        f"whole rows: joint W1 = {format_number(float(result))} ({proof}), {describe_joint(joint)}; "
        f"floor {format_number(joint.floor)}, p = {format_probability(joint.pvalue)}"
    )
    pair = comparison.dependence
    return [line for line in (text, joint.note, "" if pair is None else describe_dependence(pair)) if line]


def _format_legend(comparison: Comparison) -> str:
    draws = f"{comparison.n_resamples:,} relabellings"
    return f"* moved; {draws}; scale: {comparison.scale}; {comparison.assumption}"
