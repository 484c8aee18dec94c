"""A comparison as a DataFrame, in one line, and as HTML for notebooks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from otdist.dataframes import make_frame
from otdist.pages.notebook import line, table
from otdist.pages.words import interval, number, probability, visible
from otdist.tables.comparison import SCHEMA
from otdist.tables.summary import (
    change_words,
    dependence_words,
    joint_words,
    missing_words,
    status_words,
    summary,
)

if TYPE_CHECKING:
    from otdist.tables.comparison import ColumnReport, Comparison

LEFT_OUT = frozenset({"sketch"})  # fields that are not figures


def to_frame(comparison: Comparison) -> Any:
    """Table with one row a column report, in the order of the report.

    Parameters
    ----------
    comparison : Comparison
        What ``otdist.compare`` returned.

    Returns
    -------
    DataFrame
        The fields of each :class:`ColumnReport` but for its sketch, and ``moved``; NaN stays NaN. Of
        pandas where that is imported, of polars where only that is; else of the first that is installed.

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
    rows = [_record(column) for column in comparison.columns]
    names = list(rows[0]) if rows else []
    return make_frame({name: [row[name] for row in rows] for name in names})


def summary_line(comparison: Comparison) -> str:
    """One line for a prompt: names, rows, and how many columns moved.

    Parameters
    ----------
    comparison : Comparison
        What ``otdist.compare`` returned.

    Returns
    -------
    str
        Such as ``<Comparison: reference -> current, 40 -> 30 rows: 1 of 3 columns moved ...>``.
    """
    return visible(f"<Comparison: {_names(comparison)}: {summary(comparison)}>")


def as_html(comparison: Comparison) -> str:
    """HTML table for notebooks, with the joint distance below.

    Parameters
    ----------
    comparison : Comparison
        What ``otdist.compare`` returned.

    Returns
    -------
    str
        HTML in the colours of the notebook: columns that moved are bold and starred; the first 30 columns are
        shown.
    """
    header = ("", "column", "kind", "change", "W1", "unit", "W1/scale", "floor", "p", "q", "missing")
    columns = sorted(comparison.columns, key=lambda column: not column.moved)
    rows = [_cells(column) for column in columns]
    notes = [
        f"{column.name}: {status_words(column)}" for column in comparison.columns if status_words(column)
    ]
    return table(
        header,
        rows,
        caption=f"{_names(comparison)}: {summary(comparison)}",
        notes=(*_joint(comparison), *notes[:5], *comparison.notes, _legend(comparison)),
        bold=[column.moved for column in columns],
        words=(0, 1, 2, 3, 5),
    )


def as_html_column(column: ColumnReport) -> str:
    """HTML line for notebooks about one column.

    Parameters
    ----------
    column : ColumnReport
        One of the reports of ``otdist.compare``.

    Returns
    -------
    str
        HTML in the colours of the notebook.
    """
    unit = f" {column.unit}" if column.unit else ""
    figure = f"{column.name}: W1 = {number(column.w1)}{unit}"
    badge: str = "within sampling noise" if column.verdict == "not moved" else column.verdict
    if column.missing_verdict == "moved":
        badge = f"{badge}, missing values {missing_words(column)}"
    detail = (
        f"W1/scale {number(column.scaled)}, floor {number(column.floor)}, p {probability(column.pvalue)}, "
        f"q {probability(column.qvalue)}, {column.kind}, n={column.n_reference}/{column.n_current}"
    )
    return line(figure, badge, detail, status_words(column))


def _record(column: ColumnReport) -> dict[str, Any]:
    fields = {name: value for name, value in vars(column).items() if name not in LEFT_OUT}
    return {**fields, "moved": column.moved}


def _names(comparison: Comparison) -> str:
    names = f"{comparison.reference_name} -> {comparison.current_name}"
    return f"{names}, {comparison.n_reference:,} -> {comparison.n_current:,} rows"


def _cells(column: ColumnReport) -> tuple[str, ...]:
    figures = (number(column.w1), column.unit, number(column.scaled), number(column.floor))
    tests = (probability(column.pvalue), probability(column.qvalue))
    change = change_words(column) if column.verdict not in SCHEMA else column.verdict
    star = "*" if column.moved else ""
    return (star, column.name, column.kind or "", change, *figures, *tests, missing_words(column))


def _joint(comparison: Comparison) -> list[str]:
    joint = comparison.joint
    if joint is None:
        return []
    result = joint.result
    proof = "exact" if result._is_exact else f"proved interval {interval(result.lower, result.upper)}"
    text = (
        f"whole rows: joint W1 = {number(float(result))} ({proof}), {joint_words(joint)}; "
        f"floor {number(joint.floor)}, p = {probability(joint.pvalue)}"
    )
    pair = comparison.dependence
    return [line for line in (text, joint.note, "" if pair is None else dependence_words(pair)) if line]


def _legend(comparison: Comparison) -> str:
    draws = f"{comparison.n_resamples:,} relabellings"
    return f"* moved; {draws}; scale: {comparison.scale}; {comparison.assumption}"
