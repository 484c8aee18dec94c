"""Comparisons as tables for terminals."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from io import StringIO
from typing import TYPE_CHECKING

from otdist.pages.formatting import (
    DASH,
    escape_unprintable,
    format_interval,
    format_number,
    format_percent,
    format_probability,
)
from otdist.tables.comparison import SCHEMA_VERDICTS, ColumnReport, Comparison, DependenceReport, JointReport
from otdist.tables.summary import (
    describe_change,
    describe_joint,
    describe_missing,
    describe_status,
    summarise_comparison,
)

# rich is imported inside the functions: importing this module must not import rich.
if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderableType
    from rich.table import Table
    from rich.text import Text

MAX_LISTED_COLUMNS = 40  # number of columns above which only those that moved are listed
MIN_NAME_WIDTH = 10  # characters for a column's name
COLUMN_GAP = 2  # characters between two columns of the table

# Pipes on Windows write cp1252: print() must not fail on the punctuation of reports.
_ASCII_TRANSLATION = str.maketrans({DASH: "-", "∞": "inf", "−": "-", "→": "->", "×": "x"})
_KIND_ABBREVIATIONS = {
    "numeric": "num",
    "boolean": "bool",
    "datetime": "date",
    "categorical": "cat",
    "ordinal": "ord",
}
_ASCII_RULE = "    \n    \n -- \n    \n    \n    \n    \n    \n"


@dataclass(frozen=True, eq=False)
class Sheet:
    """Comparison as a rich renderable: heading, table, joint line and notes.

    Moved columns are bold and red and are marked by ``*``, so that they are visible without colour.
    """

    comparison: Comparison
    ascii: bool = False
    every: bool = False

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[RenderableType]:
        """Render at the width of the console: narrow ones show fewer values, but never truncated ones."""
        comparison, joint = self.comparison, self.comparison.joint
        yield from _make_heading(comparison)
        notes: list[str] = []
        listed = self._select_columns()
        if listed:
            yield ""
            yield _make_table(listed, notes, ascii=self.ascii, width=options.max_width)
        if len(listed) < len(comparison.columns):
            count = len(comparison.columns) - len(listed)
            yield _make_text(f"and {count:,} columns that did not move", "dim")
        yield ""
        if joint is not None:
            yield from _make_joint_lines(joint)
        if comparison.dependence is not None:
            yield _make_dependence_line(comparison.dependence)
        if joint is not None or comparison.dependence is not None:
            yield ""
        marked = [f"[{i}] {note}" for i, note in enumerate(notes, 1)]
        for line in (*marked, *filter(None, (joint.note if joint else "", *comparison.notes))):
            yield _make_text(line, "dim")
        yield _make_text(_make_legend(comparison), "dim")
        if comparison.assumption:
            yield _make_text(comparison.assumption, "dim")

    def _select_columns(self) -> list[ColumnReport]:
        columns = self.comparison.columns
        if self.every or len(columns) <= MAX_LISTED_COLUMNS:
            return list(columns)
        changed = [c for c in columns if c.moved or c.verdict != "not moved"]
        return sorted(changed, key=lambda c: (c.verdict not in SCHEMA_VERDICTS, not c.moved, -c.scaled))


def make_sheet(comparison: Comparison, *, every: bool = False) -> Sheet:
    """Make a sheet for ``rich.print`` and the command line.

    Parameters
    ----------
    comparison : Comparison
        Result of ``otdist.compare``.
    every : bool
        Whether to list columns that did not move even if there are many.
    """
    return Sheet(comparison, every=every)


def to_text(comparison: Comparison, width: int = 100) -> str:
    """Return the table as plain text, without colour codes.

    Parameters
    ----------
    comparison : Comparison
        Result of ``otdist.compare``.
    width : int
        Number of characters in a line.

    Returns
    -------
    str
        ASCII, except for the names and labels of the data.
    """
    from rich.console import Console

    page = StringIO()
    # force_terminal: FORCE_COLOR in the environment must not add colour codes to a string.
    console = Console(file=page, width=width, color_system=None, force_terminal=False, highlight=False)
    console.print(Sheet(comparison, ascii=True))
    return "\n".join(line.rstrip() for line in page.getvalue().splitlines()).strip("\n")


def _make_heading(comparison: Comparison) -> tuple[Text, Text]:
    names = f"{comparison.reference_name} -> {comparison.current_name}"
    rows = f"{comparison.n_reference:,} -> {comparison.n_current:,} rows"
    return _make_text(f"{names}   {rows}", "bold"), _make_text(
        summarise_comparison(comparison).translate(_ASCII_TRANSLATION)
    )


def _make_table(columns: list[ColumnReport], notes: list[str], *, ascii: bool, width: int) -> Table:
    """Make the table; append the notes of the marks to ``notes``."""
    from rich.box import SIMPLE_HEAD, Box
    from rich.table import Table

    marks = []
    for column in columns:
        words = describe_status(column)
        notes.extend([words] if words else [])
        marks.append(f" [{len(notes)}]" if words else "")
    cells = [_format_cells(column) for column in columns]
    headers = _select_headers(cells, marks, columns, width)
    table = Table(
        box=Box(_ASCII_RULE, ascii=True) if ascii else SIMPLE_HEAD,
        show_edge=False,
        pad_edge=False,
        padding=(0, 1, 0, 0),
        header_style="bold",
    )
    table.add_column("", no_wrap=True)
    # Only names may wrap: a wrapped number could be misread.
    table.add_column("column", overflow="fold", min_width=min(MIN_NAME_WIDTH, width // 3))
    for header in headers:
        left = header in ("kind", "change")
        table.add_column(header, justify="left" if left else "right", no_wrap=True)
    for column, mark, row in zip(columns, marks, cells, strict=True):
        name = _make_text(column.name)
        name.append(mark, style="dim")
        figures = [_make_figure(row[header]) for header in headers]
        table.add_row(_make_marker(column), name, *figures, style="bold red" if column.moved else "")
    return table


# Headers that narrow consoles omit, in this order.
_OPTIONAL_HEADERS = ("kind", "p", "floor", "W1/scale", "change", "missing %")


def _format_cells(column: ColumnReport) -> dict[str, str]:
    if column.verdict in SCHEMA_VERDICTS:
        missing = describe_missing(column).replace("%", "") if column.verdict == "retyped" else ""
        kind = _KIND_ABBREVIATIONS.get(column.kind or "", "")
        return {
            "kind": kind,
            "change": column.verdict,
            "W1": DASH,
            "W1/scale": DASH,
            "floor": DASH,
            "p": DASH,
            "q": DASH,
            "missing %": missing,
        }
    unit = {"share": "", "": ""}.get(column.unit, f" {column.unit}")
    missing = describe_missing(column).replace("%", "")
    return {
        "kind": _KIND_ABBREVIATIONS.get(column.kind or "", ""),
        "change": _shorten(describe_change(column)),
        "W1": f"{format_number(column.w1)}{unit}" if column.unit != "share" else format_percent(column.w1),
        "W1/scale": format_number(column.scaled),
        "floor": format_number(column.floor) if column.unit != "share" else format_percent(column.floor),
        "p": format_probability(column.pvalue),
        "q": format_probability(column.qvalue) if column.verdict != "undecided" else "undecided",
        "missing %": f"{missing} *" if column.missing_verdict == "moved" else missing,
    }


def _shorten(text: str, width: int = 24) -> str:
    return text if len(text) <= width else f"{text[: width - 2]}.."


def _select_headers(
    cells: list[dict[str, str]], marks: list[str], columns: list[ColumnReport], width: int
) -> list[str]:
    """Select the headers that fit beside the names."""
    headers = list(cells[0])
    names = max(
        len(escape_unprintable(column.name)) + len(mark) for column, mark in zip(columns, marks, strict=True)
    )
    room = width - COLUMN_GAP - 1 - min(max(names, MIN_NAME_WIDTH), max(width // 4, MIN_NAME_WIDTH))

    def compute_width() -> int:
        widest = (
            max(len(header), *(len(row[header].translate(_ASCII_TRANSLATION)) for row in cells))
            for header in headers
        )
        return sum(size + COLUMN_GAP for size in widest)

    for header in _OPTIONAL_HEADERS:
        if compute_width() <= room:
            break
        headers.remove(header)
    return headers


def _make_marker(column: ColumnReport) -> Text:
    return _make_text(
        "*" if column.moved else "?" if "undecided" in (column.verdict, column.missing_verdict) else ""
    )


def _make_joint_lines(joint: JointReport) -> Iterator[Text]:
    result = joint.result
    rows = f"{joint.n_reference:,} x {joint.n_current:,} rows"
    if joint.n_test < min(joint.n_reference, joint.n_current):
        rows += f" (test: {joint.n_test:,} a side)"
    star = "* " if joint.moved else "? " if joint.verdict == "undecided" else ""
    bounds = "exact" if result._is_exact else f"proved interval {format_interval(result.lower, result.upper)}"
    line = (
        f"{star}whole rows: joint W1 = {format_number(float(result))} ({bounds}), "
        f"{describe_joint(joint)}; floor {format_number(joint.floor)}, "
        f"p = {format_probability(joint.pvalue)}, q = {format_probability(joint.qvalue)}, {rows}; "
        f"mean of columns {format_number(joint.marginal)}"
    )
    yield _make_text(line.translate(_ASCII_TRANSLATION), "bold red" if joint.moved else "")
    if not result.converged:
        yield _make_text(f"not converged: {result.message}")


def _make_dependence_line(pair: DependenceReport) -> Text:
    star = "* " if pair.moved else "? " if pair.verdict == "undecided" else ""
    line = (
        f"{star}largest change of a correlation: {' and '.join(pair.columns)} "
        f"{pair.before:.2f} -> {pair.after:.2f}, "
        f"p = {format_probability(pair.pvalue)}, q = {format_probability(pair.qvalue)}"
    )
    return _make_text(line.translate(_ASCII_TRANSLATION), "bold red" if pair.moved else "")


def _make_legend(comparison: Comparison) -> str:
    star = f"* moved: q <= {comparison.level:g}"
    floor = "floor: the W1 that sampling noise alone can show"
    max_draws = max((column.draws for column in comparison.columns), default=0)
    draws = f"{max(max_draws, comparison.n_resamples):,} relabellings at most"
    return f"{star}; {floor}; {draws}; scale: {comparison.scale}"


def _make_figure(text: str) -> Text:
    return _make_text(text.translate(_ASCII_TRANSLATION))


def _make_text(text: str, style: str = "") -> Text:
    from rich.text import Text

    # Text instead of str: rich would read [red] in a name as markup.
    return Text(escape_unprintable(text), style=style)
