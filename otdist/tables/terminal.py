"""The comparison in a terminal, and the sentences that the HTML report shares with it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from io import StringIO
from typing import TYPE_CHECKING

from otdist.pages.words import DASH, interval, number, percent, probability, visible
from otdist.tables.comparison import SCHEMA, ColumnReport, Comparison, DependenceReport, JointReport
from otdist.tables.summary import change_words, joint_words, missing_words, status_words, summary

# rich is imported inside the functions: the report needs this file's wording, not rich.
if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderableType
    from rich.table import Table
    from rich.text import Text

MANY = 40  # columns beyond which only those that moved are listed
NAME_WIDTH = 10  # least width of a column's name
GAP = 2  # characters between two columns of the table

# A pipe on Windows still writes cp1252, and a print() must never fail on our own punctuation.
_ASCII = str.maketrans({DASH: "-", "∞": "inf", "−": "-", "→": "->", "×": "x"})
_SHORT_KIND = {
    "numeric": "num",
    "boolean": "bool",
    "datetime": "date",
    "categorical": "cat",
    "ordinal": "ord",
}
_ASCII_RULE = "    \n    \n -- \n    \n    \n    \n    \n    \n"


@dataclass(frozen=True, eq=False)
class Sheet:
    """Heading, table, joint line and notes; any rich console can print it.

    Columns that moved are bold and red and carry a ``*``, so that they read without colour too.
    """

    comparison: Comparison
    ascii: bool = False
    every: bool = False

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[RenderableType]:
        """Draw at the width at hand: narrow screens get fewer figures, never a cut one or no name."""
        comparison, joint = self.comparison, self.comparison.joint
        yield from _heading(comparison)
        notes: list[str] = []
        listed = self._listed()
        if listed:
            yield ""
            yield _table(listed, notes, ascii=self.ascii, width=options.max_width)
        if len(listed) < len(comparison.columns):
            rest = len(comparison.columns) - len(listed)
            yield _text(f"and {rest:,} columns that did not move", "dim")
        yield ""
        if joint is not None:
            yield from _joint_lines(joint)
        if comparison.dependence is not None:
            yield _dependence_line(comparison.dependence)
        if joint is not None or comparison.dependence is not None:
            yield ""
        marked = [f"[{i}] {note}" for i, note in enumerate(notes, 1)]
        for line in (*marked, *filter(None, (joint.note if joint else "", *comparison.notes))):
            yield _text(line, "dim")
        yield _text(_legend(comparison), "dim")
        if comparison.assumption:
            yield _text(comparison.assumption, "dim")

    def _listed(self) -> list[ColumnReport]:
        columns = self.comparison.columns
        if self.every or len(columns) <= MANY:
            return list(columns)
        shown = [c for c in columns if c.moved or c.verdict != "not moved"]
        return sorted(shown, key=lambda c: (c.verdict not in SCHEMA, not c.moved, -c.scaled))


def as_table(comparison: Comparison, *, every: bool = False) -> Sheet:
    """Return what ``rich.print`` and the command line show.

    Parameters
    ----------
    comparison : Comparison
        What ``otdist.compare`` returned.
    every : bool
        Whether to list columns that did not move where there are many.
    """
    return Sheet(comparison, every=every)


def as_text(comparison: Comparison, width: int = 100) -> str:
    """Return the table as plain text, without colour codes.

    Parameters
    ----------
    comparison : Comparison
        What ``otdist.compare`` returned.
    width : int
        Characters a line.

    Returns
    -------
    str
        ASCII, but for the names and labels of the data.
    """
    from rich.console import Console

    page = StringIO()
    # force_terminal: a FORCE_COLOR in the environment must not put codes into a string.
    console = Console(file=page, width=width, color_system=None, force_terminal=False, highlight=False)
    console.print(Sheet(comparison, ascii=True))
    return "\n".join(line.rstrip() for line in page.getvalue().splitlines()).strip("\n")


def _heading(comparison: Comparison) -> tuple[Text, Text]:
    names = f"{comparison.reference_name} -> {comparison.current_name}"
    rows = f"{comparison.n_reference:,} -> {comparison.n_current:,} rows"
    return _text(f"{names}   {rows}", "bold"), _text(summary(comparison).translate(_ASCII))


def _table(columns: list[ColumnReport], notes: list[str], *, ascii: bool, width: int) -> Table:
    """Rows of the table; ``notes`` receives what the marks stand for."""
    from rich.box import SIMPLE_HEAD, Box
    from rich.table import Table

    marks = []
    for column in columns:
        words = status_words(column)
        notes.extend([words] if words else [])
        marks.append(f" [{len(notes)}]" if words else "")
    cells = [_cells(column) for column in columns]
    headers = _fitting(cells, marks, columns, width)
    table = Table(
        box=Box(_ASCII_RULE, ascii=True) if ascii else SIMPLE_HEAD,
        show_edge=False,
        pad_edge=False,
        padding=(0, 1, 0, 0),
        header_style="bold",
    )
    table.add_column("", no_wrap=True)
    # Only the name may break: a figure cut in two is a wrong figure.
    table.add_column("column", overflow="fold", min_width=min(NAME_WIDTH, width // 3))
    for header in headers:
        left = header in ("kind", "change")
        table.add_column(header, justify="left" if left else "right", no_wrap=True)
    for column, mark, row in zip(columns, marks, cells, strict=True):
        name = _text(column.name)
        name.append(mark, style="dim")
        figures = [_figure(row[header]) for header in headers]
        table.add_row(_star(column), name, *figures, style="bold red" if column.moved else "")
    return table


# What a narrow screen leaves out, first to last.
_DISPENSABLE = ("kind", "p", "floor", "W1/scale", "change", "missing %")


def _cells(column: ColumnReport) -> dict[str, str]:
    if column.verdict in SCHEMA:
        gone = missing_words(column).replace("%", "") if column.verdict == "retyped" else ""
        kind = _SHORT_KIND.get(column.kind or "", "")
        return {
            "kind": kind,
            "change": column.verdict,
            "W1": DASH,
            "W1/scale": DASH,
            "floor": DASH,
            "p": DASH,
            "q": DASH,
            "missing %": gone,
        }
    unit = {"share": "", "": ""}.get(column.unit, f" {column.unit}")
    missing = missing_words(column).replace("%", "")
    return {
        "kind": _SHORT_KIND.get(column.kind or "", ""),
        "change": _short(change_words(column)),
        "W1": f"{number(column.w1)}{unit}" if column.unit != "share" else percent(column.w1),
        "W1/scale": number(column.scaled),
        "floor": number(column.floor) if column.unit != "share" else percent(column.floor),
        "p": probability(column.pvalue),
        "q": probability(column.qvalue) if column.verdict != "undecided" else "undecided",
        "missing %": f"{missing} *" if column.missing_verdict == "moved" else missing,
    }


def _short(text: str, most: int = 24) -> str:
    return text if len(text) <= most else f"{text[: most - 2]}.."


def _fitting(
    cells: list[dict[str, str]], marks: list[str], columns: list[ColumnReport], width: int
) -> list[str]:
    """Headers that fit beside the names."""
    headers = list(cells[0])
    names = max(len(visible(column.name)) + len(mark) for column, mark in zip(columns, marks, strict=True))
    room = width - GAP - 1 - min(max(names, NAME_WIDTH), max(width // 4, NAME_WIDTH))

    def needed() -> int:
        widest = (
            max(len(header), *(len(row[header].translate(_ASCII)) for row in cells)) for header in headers
        )
        return sum(size + GAP for size in widest)

    for header in _DISPENSABLE:
        if needed() <= room:
            break
        headers.remove(header)
    return headers


def _star(column: ColumnReport) -> Text:
    return _text(
        "*" if column.moved else "?" if "undecided" in (column.verdict, column.missing_verdict) else ""
    )


def _joint_lines(joint: JointReport) -> Iterator[Text]:
    result = joint.result
    rows = f"{joint.n_reference:,} x {joint.n_current:,} rows"
    if joint.n_test < min(joint.n_reference, joint.n_current):
        rows += f" (test: {joint.n_test:,} a side)"
    star = "* " if joint.moved else "? " if joint.verdict == "undecided" else ""
    bounds = "exact" if result._is_exact else f"proved interval {interval(result.lower, result.upper)}"
    line = (
        f"{star}whole rows: joint W1 = {number(float(result))} ({bounds}), "
        f"{joint_words(joint)}; floor {number(joint.floor)}, p = {probability(joint.pvalue)}, "
        f"q = {probability(joint.qvalue)}, {rows}; mean of columns {number(joint.marginal)}"
    )
    yield _text(line.translate(_ASCII), "bold red" if joint.moved else "")
    if not result.converged:
        yield _text(f"not converged: {result.message}")


def _dependence_line(pair: DependenceReport) -> Text:
    star = "* " if pair.moved else "? " if pair.verdict == "undecided" else ""
    line = (
        f"{star}largest change of a correlation: {' and '.join(pair.columns)} "
        f"{pair.before:.2f} -> {pair.after:.2f}, "
        f"p = {probability(pair.pvalue)}, q = {probability(pair.qvalue)}"
    )
    return _text(line.translate(_ASCII), "bold red" if pair.moved else "")


def _legend(comparison: Comparison) -> str:
    star = f"* moved: q <= {comparison.level:g}"
    floor = "floor: the W1 that sampling noise alone can show"
    most = max((column.draws for column in comparison.columns), default=0)
    draws = f"{max(most, comparison.n_resamples):,} relabellings at most"
    return f"{star}; {floor}; {draws}; scale: {comparison.scale}"


def _figure(text: str) -> Text:
    return _text(text.translate(_ASCII))


def _text(text: str, style: str = "") -> Text:
    from rich.text import Text

    # Text, never a str: rich would read [red] in a name as markup.
    return Text(visible(text), style=style)


def _all_missing(column: ColumnReport) -> str:
    sides = [("reference", column.n_reference), ("current", column.n_current)]
    empty = [side for side, present in sides if present == 0]
    return "all values missing" + (f" in {empty[0]}" if len(empty) == 1 else "")
