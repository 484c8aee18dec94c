"""Table of measurements for a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from otdist.bench.report import format_accuracy, format_memory, format_row_interval, format_seconds
from otdist.pages.formatting import escape_unprintable, format_number

if TYPE_CHECKING:
    from otdist.bench.table import Runs


def make_table(runs: Runs, question: str) -> Table:
    """Return the rows of one question as a table, the fastest first; the Pareto front is bold."""
    rows = [row for row in runs.medians() if row["question"] == question]
    first, rows = rows[0], [row for row in rows if row["runs"]]
    rows.sort(key=lambda row: (row["status"] != "ok", row["seconds"] or 0.0))
    front = {row["method"] for row in runs.front(question)}
    sizes = f"{first['n']} and {first['m']} points, d = {first['d']}"
    title = Text(f"{escape_unprintable(question)} ({sizes})")
    table = Table(title=title, title_justify="left", box=None, pad_edge=False)
    table.add_column("method")
    for name in ("time", "error", "value", "proved", "memory"):
        table.add_column(name, justify="right")
    table.add_column("")
    for row in rows:
        best = row["method"] in front
        cells = [escape_unprintable(row["method"]), format_seconds(row["seconds"]), format_accuracy(row)]
        cells += [
            "–" if row["value"] is None else format_number(row["value"]),
            format_row_interval(row),
            format_memory(row["memory"]),
        ]
        reason = "" if row["status"] == "ok" else escape_unprintable(f"{row['status']}: {row['reason']}")
        table.add_row(*(Text(cell) for cell in (*cells, reason)), style="bold" if best else None)
    return table
