"""``otdist bench``: accuracy against cost of methods, on samples from files or on known problems."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from otdist.cli.app import EXIT_FAILED, Flag, Names, app
from otdist.cli.shell import check_html, dump_json, find_unused_name, shell_errors
from otdist.errors import InputError
from otdist.inputs.arguments import check_number

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.table import Table

    from otdist.bench import Question, Runs

QUICK_QUESTIONS = ("penguins n=150", "line n=20000", "shift n=1000 d=16", "clusters n=2000 d=3")
DEFAULT_BUDGET, QUICK_BUDGET = "60s", "100s"


@app.command
def bench(
    x: str | None = None,
    y: str | None = None,
    /,
    *,
    quick: Flag = False,
    questions: Names = None,
    methods: Names = None,
    budget: str | None = None,
    tol: float = 0.01,
    html: Path | None = None,
    out: Path | None = None,
    json: Flag = False,
) -> int:
    """Measure methods for W1 on two samples, and say which to use.

    Each method has a process of its own; errors are against the tightest interval that is proved.

    Parameters
    ----------
    x
        NPY, NPZ, CSV, TSV or Parquet file: one point a row.
    y
        The other sample.
    quick
        Some small questions instead of files, in two minutes; cheap methods first.
    questions
        Questions by name instead of files, such as "shift n=1000 d=16".
    methods
        Methods with options, such as "otdist sinkhorn tol=0.01" "POT emd2". Default: those worth asking.
    budget
        Time for all runs, such as 90, 60s or 2m. Default: 60s, and 100s with --quick.
    tol
        Relative error that the advice is for.
    html
        Where to write the page. Default: bench.html, or bench-2.html and so on if that exists.
    out
        Also write the rows, to a JSON or Parquet file.
    json
        Print JSON instead of a table.
    """
    from otdist.bench import run
    from otdist.bench.report import advise
    from otdist.bench.table import NOT_STARTED, check_output_path
    from otdist.bench.terminal import make_table

    html = find_unused_name("bench.html") if html is None else html
    check_html(html)
    seconds = _parse_seconds(budget or (QUICK_BUDGET if quick else DEFAULT_BUDGET))
    check_number(tol, "--tol", above=0, below=1, remedy="use a relative error such as 0.01")
    with shell_errors({"x": x or "x", "y": y or "y", "path": "--out"}):
        if out is not None:
            check_output_path(out)
        parsed_questions = _read_questions(x, y, quick, questions)
        runs = run(
            parsed_questions, methods, budget=seconds, max_seconds=seconds, progress=sys.stderr.isatty()
        )
        if all(row["status"] == NOT_STARTED for row in runs.rows):
            raise InputError(
                "--budget", f"must be longer, got {seconds:g} s, in which no method starts", "give more"
            )
        if out is not None:
            runs.save(out)
    if json:
        print(dump_json({"rows": runs.rows, "advice": {q: advise(runs, q, tol) for q in runs.questions}}))
    else:
        _print_runs(runs, tol, make_table)
    print(f"Report: {runs.report(html, tol=tol)}", file=sys.stderr if json else sys.stdout)
    return 0 if any(row["status"] == "ok" for row in runs.rows) else EXIT_FAILED


def _read_questions(
    x: str | None, y: str | None, quick: bool, questions: list[str] | None
) -> list[str | Question]:
    """Read the questions: two files, or questions by name."""
    from otdist.bench import Question
    from otdist.tables.files import read_file

    if sum((x is not None, quick, questions is not None)) != 1:
        problem = "is missing" if x is None and not quick else "must not be combined with other questions"
        raise InputError("x", problem, "give two files, or --quick, or --questions")
    if x is None:
        return list(questions or QUICK_QUESTIONS)
    if y is None:
        raise InputError("y", "is missing", "give a second file")
    first, second = read_file(x), read_file(y)
    return [Question.of(f"{Path(x).name}, {Path(y).name}", first, second)]


def _print_runs(runs: Runs, tol: float, make_table: Callable[[Runs, str], Table]) -> None:
    import os

    from rich.console import Console

    from otdist.bench.report import advise
    from otdist.pages.formatting import escape_unprintable

    # In a pipe rich would fold at 80 columns.
    console = Console(width=None if sys.stdout.isatty() or "COLUMNS" in os.environ else 120)
    for name in runs.questions:
        console.print(make_table(runs, name))
        console.print(advise(runs, name, tol), markup=False, highlight=False)
        unstarted = runs.unstarted_methods(name)
        if unstarted:
            text = f"Not started, for no time was left: {', '.join(unstarted)}."
            console.print(escape_unprintable(text), markup=False, highlight=False)
        console.print()


def _parse_seconds(text: str) -> float:
    """Parse a time such as 90, 60s or 2m into seconds."""
    units = {"s": 1.0, "m": 60.0, "h": 3600.0}
    number, unit = (text[:-1], units[text[-1]]) if text[-1:] in units else (text, 1.0)
    try:
        seconds = float(number) * unit
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < float("inf"):
        raise InputError("--budget", f"must be a time, got {text!r}", "write 90, 60s or 2m")
    return seconds
