"""HTML page of measurements: advice, Pareto fronts and every row."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from markupsafe import Markup

from otdist.bench.methods import get_other_quantity
from otdist.bench.scatter import draw_scatter
from otdist.bench.table import EXACT_ERROR
from otdist.pages.formatting import DASH, format_interval, format_lower_bound, format_number, format_percent
from otdist.pages.page import load_template, write_page
from otdist.runtime.budget import format_bytes
from otdist.runtime.files import check_target
from otdist.runtime.versions import get_version

if TYPE_CHECKING:
    from otdist.bench.table import Row, Runs


def write_report(runs: Runs, path: Path, tol: float) -> Path:
    """Write the page.

    Raises
    ------
    InputError
        If the page cannot be written.
    """
    target = check_target(path)
    return write_page(render(runs, tol), target)


def render(runs: Runs, tol: float) -> str:
    """Return the page as a string."""
    template = load_template(
        "otdist.bench",
        "report.html.j2",
        size=format_memory,
        accuracy=format_accuracy,
        seconds=format_seconds,
        proved=format_row_interval,
    )
    return template.render(
        questions=[_describe_question(runs, name, tol) for name in runs.questions],
        methods=len({row["method"] for row in runs.rows}),
        machine=next((row for row in runs.rows if "cpu" in row), None),
        tol=tol,
        version=get_version(),
    )


def _describe_question(runs: Runs, name: str, tol: float) -> dict[str, object]:
    rows = [row for row in runs.medians() if row["question"] == name]
    first, rows = rows[0], [row for row in rows if row["runs"]]
    rows.sort(key=lambda row: (row["status"] != "ok", row["seconds"] or 0.0))
    numbers = {row["method"]: k for k, row in enumerate(rows, 1)}
    figures = [draw_scatter(rows, runs.front(name, cost), cost, numbers) for cost in ("seconds", "memory")]
    front = {row["method"] for row in runs.front(name)}
    truth = next((row for row in runs.rows if row["question"] == name and row["truth"] is not None), None)
    return {
        "name": name,
        "rows": rows,
        "numbers": numbers,
        "others": any(get_other_quantity(row["method"], row["d"]) for row in rows),
        "first": first,
        "stairs": any("curve front" in figure for figure in figures if figure),
        "drawings": [Markup(figure) for figure in figures if figure],
        "front": front,
        "advice": advise(runs, name, tol),
        "unstarted": runs.unstarted_methods(name),
        "truth": None if truth is None else truth["truth"],
        "laws": next((row.get("laws") for row in runs.rows if row["question"] == name), None),
    }


def advise(runs: Runs, name: str, tol: float) -> str:
    """Return a sentence that names the method to use for samples like those of a question."""
    best = runs.fastest(name, tol)
    if best is None:
        return f"No method came within {tol:.2%} of a value that is proved: give a larger budget."
    exact = runs.fastest(name, EXACT_ERROR)
    quality = "exact" if best["error"] < EXACT_ERROR else f"error {format_error(best['error'])}"
    text = f"Use {best['method']}: {format_seconds(best['seconds'])}, {quality}."
    if exact is not None and exact["method"] != best["method"]:
        text += f" Exact: {exact['method']}, {format_seconds(exact['seconds'])}."
    if best["lower"] is None:
        rows = [row for row in runs.medians() if row["question"] == name and row["seconds"] is not None]
        certified_rows = [row for row in rows if row["lower"] is not None and row["upper"] is not None]
        accurate_rows = [row for row in certified_rows if row["error"] is not None and row["error"] <= tol]
        if accurate_rows:
            fastest = min(accurate_rows, key=lambda row: row["seconds"])
            text += f" It proves nothing about its value; {fastest['method']} does,"
            text += f" in {format_seconds(fastest['seconds'])}."
    return text


def format_row_interval(row: Row) -> str:
    """Format the interval of a row, or its lower bound alone."""
    if row["lower"] is None:
        return DASH
    if row["upper"] is None:
        return format_lower_bound(row["lower"])
    return format_interval(row["lower"], row["upper"])


def format_seconds(value: float | None) -> str:
    """Format seconds with three significant digits."""
    if value is None:
        return DASH
    # Repeated runs differ in the second digit.
    rounded = float(f"{value:.3g}")
    return (
        f"{format_number(rounded)} s"
        if rounded >= 0.1
        else f"{format_number(float(f'{1e3 * rounded:.3g}'))} ms"
    )


def format_accuracy(row: Row) -> str:
    """Format the error of a row; for another quantity than W1, its name and its share of W1."""
    quantity = get_other_quantity(row["method"], row["d"])
    if quantity is None or row["error"] is None:
        return format_error(row["error"]) if quantity is None else quantity
    return f"{quantity}: {format_percent(max(1.0 - row['error'], 0.0))} of W1"  # these are lower bounds of W1


def format_error(value: float | None) -> str:
    """Format a relative error; below 1e-9 it is rounding, and the value exact."""
    if value is None:
        return DASH
    if value < EXACT_ERROR:
        return "exact"
    return f"{value:.1e}" if value < 1e-4 else f"{100 * value:.2g}%"


def format_memory(value: float | None) -> str:
    """Format the memory of a run."""
    return DASH if value is None else format_bytes(value)
