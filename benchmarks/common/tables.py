"""Cells and tables in Markdown, from rows of otdist.bench."""

from __future__ import annotations

from typing import Any

Row = dict[str, Any]
NOT_ASKED = ("not started", "missing", "unfit")  # statuses of rows without a run


def make_table(head: list[str], lines: list[list[str]]) -> str:
    """Return a table, or nothing without lines."""
    if not lines:
        return ""
    rule = " | ".join("---" for _ in head)
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (head, [rule], *lines))


def join_sections(parts: dict[str, str]) -> str:
    """Return those tables that have lines, each under its title."""
    return "\n\n".join(f"### {title}\n\n{table}" for title, table in parts.items() if table)


def group_by_question(rows: list[Row]) -> dict[str, list[Row]]:
    """Return the rows of every question, in their order."""
    groups: dict[str, list[Row]] = {}
    for row in rows:
        groups.setdefault(row["question"], []).append(row)
    return groups


def format_short(seconds: float) -> str:
    """Return three digits, or whole seconds from 100 on."""
    return f"{seconds:.3g}" if seconds < 100 else f"{seconds:.0f}"


def format_ratio(slow: Row, fast: Row, unit: str = "", digits: int = 3) -> str:
    """Return the ratio of the medians, and those of the extremes."""
    low = slow["seconds_range"][0] / fast["seconds_range"][1]
    high = slow["seconds_range"][1] / fast["seconds_range"][0]
    return f"{slow['seconds'] / fast['seconds']:.3g}{unit} [{low:.{digits}g}, {high:.{digits}g}]"
