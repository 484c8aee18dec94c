"""Measurements as one HTML page: what to use, the front, every row."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from otdist.bench.methods import other_quantity
from otdist.bench.scatter import scatter
from otdist.bench.table import EXACT
from otdist.pages.page import target_of, template_of, version, write_page
from otdist.pages.words import DASH, at_least, interval, number, percent

if TYPE_CHECKING:
    from otdist.bench.table import Row, Runs


def write_report(runs: Runs, path: Path, tol: float) -> Path:
    """Write the page.

    Raises
    ------
    InputError
        If it cannot be written.
    """
    target = target_of(path)
    return write_page(render(runs, tol), target)


def render(runs: Runs, tol: float) -> str:
    """Give the page as a string."""
    template = template_of(
        "otdist.bench", "report.html.j2", size=size, accuracy=accuracy, seconds=seconds, proved=proved
    )
    return template.render(
        questions=[_question(runs, name, tol) for name in runs.questions],
        methods=len({row["method"] for row in runs.rows}),
        machine=next((row for row in runs.rows if "cpu" in row), None),
        tol=tol,
        version=version(),
    )


def _question(runs: Runs, name: str, tol: float) -> dict[str, Any]:
    rows = [row for row in runs.medians() if row["question"] == name]
    first, rows = rows[0], [row for row in rows if row["runs"]]
    rows.sort(key=lambda row: (row["status"] != "ok", row["seconds"] or 0.0))
    numbers = {row["method"]: k for k, row in enumerate(rows, 1)}
    drawings = [scatter(rows, runs.front(name, cost), cost, numbers) for cost in ("seconds", "memory")]
    front = {row["method"] for row in runs.front(name)}
    truth = next((row for row in runs.rows if row["question"] == name and row["truth"] is not None), None)
    return {
        "name": name,
        "rows": rows,
        "numbers": numbers,
        "others": any(other_quantity(row["method"], row["d"]) for row in rows),
        "first": first,
        "stairs": any("curve front" in drawing for drawing in drawings if drawing),
        "drawings": [Markup(drawing) for drawing in drawings if drawing],
        "front": front,
        "advice": advice(runs, name, tol),
        "unstarted": runs.unstarted(name),
        "truth": None if truth is None else truth["truth"],
        "laws": next((row.get("laws") for row in runs.rows if row["question"] == name), None),
    }


def advice(runs: Runs, name: str, tol: float) -> str:
    """What to use for samples like these, in a sentence."""
    best = runs.fastest(name, tol)
    if best is None:
        return f"No method came within {tol:.2%} of a value that is proved: give a larger budget."
    exact = runs.fastest(name, EXACT)
    near = "exact" if best["error"] < EXACT else f"error {error(best['error'])}"
    text = f"Use {best['method']}: {seconds(best['seconds'])}, {near}."
    if exact is not None and exact["method"] != best["method"]:
        text += f" Exact: {exact['method']}, {seconds(exact['seconds'])}."
    if best["lower"] is None:
        rows = [row for row in runs.medians() if row["question"] == name and row["seconds"] is not None]
        proved_rows = [row for row in rows if row["lower"] is not None and row["upper"] is not None]
        near_rows = [row for row in proved_rows if row["error"] is not None and row["error"] <= tol]
        if near_rows:
            other = min(near_rows, key=lambda row: row["seconds"])
            text += (
                f" It proves nothing about its value; {other['method']} does, in {seconds(other['seconds'])}."
            )
    return text


def proved(row: Row) -> str:
    """Interval of a row, or its lower bound alone."""
    if row["lower"] is None:
        return DASH
    if row["upper"] is None:
        return at_least(row["lower"])
    return interval(row["lower"], row["upper"])


def seconds(value: float | None) -> str:
    """Seconds as people read them."""
    if value is None:
        return "–"
    # Three digits: the next run differs in the second.
    short = float(f"{value:.3g}")
    return f"{number(short)} s" if short >= 0.1 else f"{number(float(f'{1e3 * short:.3g}'))} ms"


def accuracy(row: Row) -> str:
    """Error of a row; where it answers another quantity than W1, that quantity and its share of W1."""
    other = other_quantity(row["method"], row["d"])
    if other is None or row["error"] is None:
        return error(row["error"]) if other is None else other
    return f"{other}: {percent(max(1.0 - row['error'], 0.0))} of W1"  # these are lower bounds of W1


def error(value: float | None) -> str:
    """Write a relative error; below 1e-9 it is rounding."""
    if value is None:
        return "–"
    if value < EXACT:
        return "exact"
    return f"{value:.1e}" if value < 1e-4 else f"{100 * value:.2g}%"


def size(value: float | None) -> str:
    """Bytes as people read them."""
    if value is None:
        return "–"
    return f"{value / 1e9:.3g} GB" if value >= 1e9 else f"{value / 1e6:.3g} MB"
