"""The command line: ``otdist demo | compare | w1``."""

from __future__ import annotations

import json
import signal
import sys
from importlib import metadata, resources
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import App, Parameter

from otdist.errors import BudgetError, ConvergenceError, InputError

MOVED = 1  # a threshold was passed
FAILED = 2  # the question could not be answered

app = App(
    name="otdist",
    help="How far apart are two sets of samples? W1 with a proved interval and its sampling noise.",
    version=lambda: metadata.version("otdist"),
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
    columns: Annotated[list[str] | None, Parameter(consume_multiple=True)] = None,
    scale: Literal["std", "iqr", "mad", "range", "none"] = "std",
    joint: bool = True,
    resamples: int = 999,
    seed: int = 0,
    json: bool = False,
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
        Exit with 1 if a column's W1/scale exceeds this.
    fail_p
        Exit with 1 if a column's p-value, adjusted for the number of columns, is below this.
    """
    from otdist.tables import compare as compare_tables
    from otdist.tables.files import read_file

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
    over = fail_above is not None and any(column.scaled > fail_above for column in comparison.columns)
    rare = fail_p is not None and any(column.qvalue < fail_p for column in comparison.columns)
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
    json: bool = False,
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
        Console().print(as_table(comparison))
    if html is not None:
        written = comparison.report(html)
        print(f"Report: {written}", file=sys.stderr if as_json else sys.stdout)
    return 0


def _dumped(record: dict[str, Any]) -> str:
    return json.dumps(record, indent=2, allow_nan=False)


def main(arguments: list[str] | None = None) -> None:
    """Run the command line; errors are one line on standard error."""
    # The solvers run in compiled code, where Python's own handler would wait for them to end.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        status = app(arguments, exit_on_error=False, result_action="return_value")
    except (InputError, BudgetError, ConvergenceError, OSError) as error:
        print(f"otdist: {error}", file=sys.stderr)
        status = FAILED
    sys.exit(status if isinstance(status, int) else 0)
