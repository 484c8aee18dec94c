"""The comparison in a terminal, and the sentences that the HTML report shares with it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from io import StringIO
from typing import TYPE_CHECKING

from otdist.pages.words import DASH, interval, number, percent, probability, visible
from otdist.tables.comparison import ColumnReport, Comparison, JointReport

# rich is imported inside the functions: the report needs this file's wording, not rich.
if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderableType
    from rich.table import Table
    from rich.text import Text

FALSE_DISCOVERY_RATE = 0.05
WIDE = 100  # characters from which the table spells its words out

# A pipe on Windows still writes cp1252, and a print() must never fail on our own punctuation.
_ASCII = str.maketrans({DASH: "-", "∞": "inf", "−": "-", "→": "->", "×": "x"})
_SHORT_KIND = {"numeric": "num", "boolean": "bool", "datetime": "date", "categorical": "cat"}
_ASCII_RULE = "    \n    \n -- \n    \n    \n    \n    \n    \n"


def moved(column: ColumnReport) -> bool:
    """Whether the column moved beyond sampling noise, at the false discovery rate."""
    return column.qvalue <= FALSE_DISCOVERY_RATE


def status_words(column: ColumnReport) -> str:
    """Say what a reader must know of the column: its own note, or why a figure is missing."""
    if column.note:
        return column.note
    return {
        "ok": "",
        "all_missing": _all_missing(column),
        "undefined_scale": "reference is constant: no scale",
        "infinite": "infinite values: W1 is infinite",
    }[column.status]


def summary(comparison: Comparison) -> str:
    """One sentence, two when a column could not be tested."""
    total = len(comparison.columns)
    if total == 0:
        return "No column could be compared."
    count = sum(map(moved, comparison.columns))
    untested = sum(math.isnan(column.qvalue) for column in comparison.columns)
    noun = "column" if total == 1 else "columns"
    rate = percent(FALSE_DISCOVERY_RATE)
    sentence = f"{count} of {total} {noun} moved beyond sampling noise (false discovery rate {rate})."
    if untested:
        sentence += f" {untested} {'column' if untested == 1 else 'columns'} could not be tested."
    return sentence


@dataclass(frozen=True, eq=False)
class Sheet:
    """Heading, table, joint line and notes; any rich console can print it.

    Columns that moved are bold and red and carry a ``*``, so that they read without colour too.
    """

    comparison: Comparison
    ascii: bool = False

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[RenderableType]:
        """Draw at the width at hand: narrow screens get shorter words, never a shorter figure."""
        comparison, joint = self.comparison, self.comparison.joint
        yield from _heading(comparison)
        notes: list[str] = []
        if comparison.columns:
            yield ""
            yield _table(comparison, notes, ascii=self.ascii, narrow=options.max_width < WIDE)
        yield ""
        yield from _joint_lines(joint)
        yield ""
        marked = [f"[{i}] {note}" for i, note in enumerate(notes, 1)]
        for line in (*marked, *filter(None, (joint.note if joint else "", *comparison.notes))):
            yield _text(line, "dim")
        yield _text(_legend(comparison), "dim")


def as_table(comparison: Comparison) -> Sheet:
    """Return what ``rich.print`` and the command line show.

    Parameters
    ----------
    comparison : Comparison
        What ``otdist.compare`` returned.
    """
    return Sheet(comparison)


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
    return _text(f"{names}   {rows}", "bold"), _text(summary(comparison))


def _table(comparison: Comparison, notes: list[str], *, ascii: bool, narrow: bool) -> Table:
    """Rows of the table; ``notes`` receives what the marks stand for."""
    from rich.box import SIMPLE_HEAD, Box
    from rich.table import Table

    table = Table(
        box=Box(_ASCII_RULE, ascii=True) if ascii else SIMPLE_HEAD,
        show_edge=False,
        pad_edge=False,
        padding=(0, 0, 0, 0) if narrow else (0, 1, 0, 0),
        header_style="bold",
    )
    table.add_column("")
    # Only the name may break: a figure cut in two is a wrong figure.
    table.add_column("column", overflow="fold", min_width=8)
    table.add_column("kind", no_wrap=True)
    for header in ("W1", "", "W1/scale", "floor", "p", "q", "missing %"):
        table.add_column(header, justify="right" if header else "left", no_wrap=True)
    for column in comparison.columns:
        mark = ""
        if words := status_words(column):
            notes.append(words)
            mark = f" [{len(notes)}]"
        table.add_row(*_cells(column, mark, narrow=narrow), style="bold red" if moved(column) else "")
    return table


def _cells(column: ColumnReport, mark: str, *, narrow: bool) -> list[Text]:
    kind = _SHORT_KIND[column.kind] if narrow else column.kind
    before, after = percent(column.missing_reference), percent(column.missing_current)
    figures = (number(column.w1), column.unit, number(column.scaled), number(column.floor))
    tests = (probability(column.pvalue), probability(column.qvalue))
    missing = (before if before == after else f"{before} -> {after}").replace("%", "")
    name = _text(column.name)
    name.append(mark, style="dim")
    return [_text("*" if moved(column) else ""), name, *map(_figure, (kind, *figures, *tests, missing))]


def _joint_lines(joint: JointReport | None) -> Iterator[Text]:
    if joint is None:
        yield _text("joint W1: not computed (not asked for, no column, or too few complete rows)")
        return
    result = joint.result
    rows = f"{joint.n_reference:,} x {joint.n_current:,} rows"
    if joint.n_test < min(joint.n_reference, joint.n_current):
        rows += f" (test: {joint.n_test:,} a side)"
    line = (
        f"joint W1 = {number(float(result))} {interval(result.lower, result.upper)} (proved), "
        f"floor {number(joint.floor)}, p = {probability(joint.pvalue)}, {rows}; "
        f"mean of columns {number(joint.marginal)}"
    )
    yield _text(line.translate(_ASCII), "bold" if joint.pvalue <= FALSE_DISCOVERY_RATE else "")
    if not result.converged:
        yield _text(f"not converged: {result.message}")


def _legend(comparison: Comparison) -> str:
    star = f"* moved: q <= {FALSE_DISCOVERY_RATE:g}"
    floor = "floor: the W1 that sampling noise alone can show"
    return f"{star}; {floor}; {comparison.n_resamples:,} resamples; scale: {comparison.scale}"


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
