"""``otdist demo`` and ``otdist compare``: two tables, column by column and jointly."""

from __future__ import annotations

import math
import os
import sys
from importlib import resources
from pathlib import Path
from typing import Any, Literal

from otdist.cli.app import MOVED, Flag, Names, Whole, app
from otdist.cli.shell import in_words_of_the_shell, require_folder
from otdist.errors import InputError

TINY = 1e-9  # threshold of p-values that no number of permutations is for


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

    require_folder(html)
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
    columns: Names = None,
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

    require_folder(html)
    for option, limit in (("--fail-above", fail_above), ("--fail-p", fail_p)):
        if limit is not None and math.isnan(limit):
            raise InputError(option, "is not a number", "give a number")
    if fail_p is not None and fail_p * (resamples + 1) <= 1:
        _refuse(fail_p, resamples)
    with in_words_of_the_shell({"reference": reference, "current": current}):
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
    tested = sum(math.isfinite(column.pvalue) for column in seen)
    if fail_p is not None and fail_p * (resamples + 1) <= tested:
        print(
            f"otdist: of {tested} columns one alone gets no adjusted p-value below "
            f"{tested / (resamples + 1):.3g}; for --fail-p {fail_p:g} give --resamples "
            f"{math.ceil(tested / fail_p)}",
            file=sys.stderr,
        )
    return MOVED if over or rare else status


def _refuse(fail_p: float, resamples: int) -> None:
    """Raise InputError for a threshold that no column can pass: a check that cannot fail is none."""
    least = 1 / (resamples + 1)
    remedy = f"give --resamples {math.ceil(1 / fail_p)}" if fail_p > TINY else f"give a number above {TINY:g}"
    raise InputError("--fail-p", f"{fail_p:g} is passed by no p-value: they end at {least:.3g}", remedy)


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
