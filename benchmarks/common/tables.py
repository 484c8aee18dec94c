"""Cells and tables in Markdown, from rows of otdist.bench."""

from __future__ import annotations

from typing import Any

Row = dict[str, Any]
NOT_ASKED = ("not started", "missing", "unfit")  # statuses of rows without a run


def make_tables(parts: dict[str, list[str]], rule: str = "---", notes: dict[str, str] | None = None) -> str:
    """Return tables under their titles, each of a head and lines, but for those without lines.

    Cells are separated by " | "; ``rule`` aligns those after the first; notes follow their table.
    """
    tables = []
    for title, (head, *lines) in parts.items():
        ruled = [head, " | ".join(["---", *[rule] * head.count(" | ")]), *lines]
        if lines:
            tables += [f"### {title}\n\n" + "\n".join(f"| {line} |" for line in ruled)]
            tables += [notes[title]] if notes and title in notes else []
    return "\n\n".join(tables)


def group_by_question(rows: list[Row]) -> dict[str, list[Row]]:
    """Return the rows of every question, in their order."""
    groups: dict[str, list[Row]] = {}
    for row in rows:
        groups.setdefault(row["question"], []).append(row)
    return groups


def format_run(row: Row | None, factor: float = 1.0) -> str:
    """Return the seconds of a run, or how it ended; nothing for what was not asked."""
    if row is None or row["status"] in NOT_ASKED:
        return ""
    if row["status"] != "ok":
        return f"> {row['budget']:g}" if row["status"] == "timeout" else row["status"]
    return format_short(row["seconds"] * factor)


def format_short(seconds: float) -> str:
    """Return three digits, or whole seconds from 100 on."""
    return f"{seconds:.3g}" if seconds < 100 else f"{seconds:.0f}"


def format_ratio(slow: Row, fast: Row, unit: str = "", digits: int = 3) -> str:
    """Return the ratio of the medians, and those of the extremes."""
    low = slow["seconds_range"][0] / fast["seconds_range"][1]
    high = slow["seconds_range"][1] / fast["seconds_range"][0]
    return f"{slow['seconds'] / fast['seconds']:.3g}{unit} [{low:.{digits}g}, {high:.{digits}g}]"
