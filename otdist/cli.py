"""The command line: ``otdist demo | compare | w1``."""

from __future__ import annotations

import json
import math
import os
import signal
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import metadata, resources
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import App, CycloptsError, Parameter

from otdist.errors import BudgetError, ConvergenceError, InputError
from otdist.result import plain

MOVED = 1  # a threshold was passed
FAILED = 2  # the question could not be answered

Flag = Annotated[bool, Parameter(negative=(), show_default=False)]


def _version() -> str:
    try:
        return metadata.version("otdist")
    except metadata.PackageNotFoundError:
        return "unknown (run from a source tree that is not installed)"


def _whole(kind: Any, tokens: Any) -> int:
    # Otherwise 1.5 would be rounded without a word.
    return int(tokens[0].value)


Whole = Annotated[int, Parameter(converter=_whole)]

app = App(
    name="otdist",
    help="How far apart are two sets of samples? W1 with a proved interval and its sampling noise.",
    version=_version,
)


@app.command
def demo(*, html: Path = Path("report.html")) -> int:
    """Compare Adelie with Chinstrap penguins (Palmer station, real data that ships with otdist).

    Parameters
    ----------
    html
        Where to write the report.
    """
    from pyarrow import compute

    from otdist.tables import compare as compare_tables
    from otdist.tables.files import read_file

    _require_folder(html)
    with resources.as_file(resources.files("otdist") / "data" / "penguins.csv") as path:
        table = read_file(str(path)).drop_columns(["year"])
    adelie, chinstrap = (
        table.filter(compute.equal(table["species"], name)).drop_columns(["species"])
        for name in ("Adelie", "Chinstrap")
    )
    comparison = compare_tables(adelie, chinstrap)
    return _show(comparison, ("Adelie penguins", "Chinstrap penguins"), html=html, as_json=False)


@app.command
def compare(
    reference: str,
    current: str,
    /,
    *,
    columns: Annotated[list[str] | None, Parameter(consume_multiple=True, negative=())] = None,
    scale: Literal["std", "iqr", "mad", "range", "none"] = "std",
    joint: bool = True,
    resamples: Whole = 999,
    seed: Whole = 0,
    json: Flag = False,
    html: Path | None = None,
    fail_above: float | None = None,
    fail_p: float | None = None,
) -> int:
    """Compare two tables, column by column and jointly.

    Exit status: 0; 1 if a threshold is passed; 2 if the tables cannot be compared.

    Parameters
    ----------
    reference
        CSV, TSV, Parquet, NPY or NPZ file.
    current
        File to compare with it.
    columns
        Columns to compare. Default: all that both tables have.
    scale
        What of the reference column the scaled distance divides by.
    joint
        Also compare whole rows.
    resamples
        Permutations behind each p-value.
    seed
        Seed of the permutations.
    json
        Print JSON instead of a table.
    html
        Also write a report page.
    fail_above
        Exit with 1 if a column's W1/scale exceeds this, or could not be measured.
    fail_p
        Exit with 1 if a column's p-value, adjusted for the number of columns, is below this, or
        could not be measured.
    """
    from otdist.tables import compare as compare_tables
    from otdist.tables.files import read_file

    _require_folder(html)
    for option, limit in (("--fail-above", fail_above), ("--fail-p", fail_p)):
        if limit is not None and math.isnan(limit):
            raise InputError(option, "is not a number", "give a number")
    with _in_words_of_the_shell({"reference": reference, "current": current}):
        comparison = compare_tables(
            read_file(reference),
            read_file(current),
            columns=columns,
            scale=scale,
            joint=joint,
            n_resamples=resamples,
            rng=seed,
            progress=sys.stderr.isatty(),
        )
    names = Path(reference).name, Path(current).name
    status = _show(comparison, names, html=html, as_json=json)
    # A column that could not be measured does not pass: "not <=" holds for NaN as well.
    seen = [column for column in comparison.columns if column.n_reference or column.n_current]
    over = fail_above is not None and any(not column.scaled <= fail_above for column in seen)
    rare = fail_p is not None and any(not column.qvalue >= fail_p for column in seen)
    return MOVED if over or rare else status


@app.command
def w1(
    x: str,
    y: str,
    /,
    *,
    p: float = 1.0,
    metric: str = "euclidean",
    nan_policy: Literal["raise", "omit"] = "raise",
    max_seconds: float | None = None,
    json: Flag = False,
) -> int:
    """Wasserstein distance between the rows of two files of numbers.

    Parameters
    ----------
    x
        NPY, NPZ, CSV, TSV or Parquet file: one point a row.
    y
        The other sample.
    p
        Order of the distance.
    metric
        Ground metric: euclidean, cityblock, chebyshev, angular, gower, ...
    nan_policy
        What to do with rows that have missing values.
    max_seconds
        Time after which the best proved interval is printed.
    json
        Print JSON.
    """
    from otdist.distance import wasserstein
    from otdist.tables.files import read_file

    with _in_words_of_the_shell({"x": x, "y": y}):
        result = wasserstein(
            read_file(x),
            read_file(y),
            p=p,
            metric=metric,
            nan_policy=nan_policy,
            max_seconds=max_seconds,
            progress=sys.stderr.isatty(),
            on_fail="raise" if max_seconds is None else "warn",
        )
    print(_dumped(result.to_dict()) if json else result)
    return 0


def _show(comparison: Any, names: tuple[str, str], *, html: Path | None, as_json: bool) -> int:
    from dataclasses import replace

    from rich.console import Console

    from otdist.tables.terminal import as_table

    comparison = replace(comparison, reference_name=names[0], current_name=names[1])
    if as_json:
        print(comparison.to_json())
    else:
        # In a pipe rich would fold at 80 columns.
        width = None if sys.stdout.isatty() or "COLUMNS" in os.environ else 120
        Console(width=width).print(as_table(comparison))
    if html is not None:
        written = comparison.report(html)
        print(f"Report: {written}", file=sys.stderr if as_json else sys.stdout)
    return 0


def _dumped(record: dict[str, Any]) -> str:
    return json.dumps({key: plain(value) for key, value in record.items()}, indent=2, allow_nan=False)


def _require_folder(html: Path | None) -> None:
    """Say before long work that its report could not be written."""
    if html is not None and not html.absolute().parent.is_dir():
        raise InputError("--html", f"there is no folder {html.absolute().parent}", "make it first")
    if html is not None and html.is_dir():
        raise InputError("--html", f"{html} is a folder", "give a file name, such as report.html")


@contextmanager
def _in_words_of_the_shell(files: dict[str, str]) -> Iterator[None]:
    """Name files and options as the caller typed them, not as Python calls them."""
    options = {"n_resamples": "--resamples", "rng": "--seed"}
    try:
        yield
    except InputError as error:
        root, bracket, rest = error.argument.partition("[")
        name = (
            files.get(root)
            or options.get(root)
            or (f"--{root.replace('_', '-')}" if root.islower() else root)
        )
        if root not in files and root not in options and (Path(root).suffix or not root.isidentifier()):
            name = root  # a path
        remedy = error.remedy.replace("nan_policy='omit'", "--nan-policy omit")
        remedy = remedy.replace("columns=[...]", "--columns").replace(
            "or use otdist.compare", "or use otdist compare"
        )
        raise InputError(f"{name}{bracket}{rest}", error.problem, remedy) from error


def _complain(text: object) -> None:
    from otdist.pages.words import visible

    print(f"otdist: {visible(str(text))}", file=sys.stderr)


def main(arguments: list[str] | None = None) -> None:
    """Run the command line; errors and warnings are one line each on standard error."""
    # The solvers run in compiled code, where Python's own handler would wait for them to end.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")  # names that the terminal cannot write
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("always", UserWarning)
            warnings.showwarning = lambda message, *rest, **more: _complain(message)
            status = app(arguments, exit_on_error=False, print_error=False, result_action="return_value")
        sys.stdout.flush()
    except BrokenPipeError:  # the reader has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = 0
    except (InputError, BudgetError, ConvergenceError, CycloptsError, OSError) as error:
        _complain(" ".join(str(error).split()))
        status = FAILED
    sys.exit(status if isinstance(status, int) else 0)
