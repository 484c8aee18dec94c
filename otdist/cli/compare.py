"""``otdist demo`` and ``otdist compare``: two tables, column by column and jointly."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from otdist.cli.app import EXIT_RULE_BROKEN, Flag, Integer, Names, app
from otdist.cli.shell import check_html, find_unused_name, print_message, shell_errors
from otdist.cli.table_options import MaybeFile, TextOptions, resolve_files
from otdist.errors import InputError
from otdist.inputs.arguments import check_number

if TYPE_CHECKING:
    from otdist.tables.comparison import Comparison
    from otdist.tables.gate import Gate

DEFAULT_LEVEL = 0.05  # false discovery rate, unless --fail-p says otherwise

Pairs = Annotated[list[str] | None, Parameter(negative=(), consume_multiple=True)]
Allowed = Annotated[
    list[Literal["gone", "new", "retyped", "unreadable"]] | None,
    Parameter(negative=(), consume_multiple=True),
]


@app.command
def demo(*, html: Path | None = None) -> int:
    """Compare Adelie with Chinstrap penguins (Palmer station, real data that ships with otdist).

    Parameters
    ----------
    html
        Where to write the report. Default: report.html, or report-2.html and so on if that exists.
    """
    import numpy as np
    from pyarrow import compute

    from otdist.tables import compare as compare_tables
    from otdist.tables.files import read_file

    html = find_unused_name("report.html") if html is None else html
    check_html(html)
    with resources.as_file(resources.files("otdist") / "data" / "penguins.csv") as path:
        table = read_file(str(path))
    assert not isinstance(table, np.ndarray)
    table = table.drop_columns(["year"])
    adelie, chinstrap = (
        table.filter(compute.equal(table["species"], name)).drop_columns(["species"])
        for name in ("Adelie", "Chinstrap")
    )
    comparison = compare_tables(adelie, chinstrap, names=("Adelie penguins", "Chinstrap penguins"))
    _print_comparison(comparison, html=html, as_json=False)
    return 0


@app.command
def compare(
    reference: MaybeFile = None,
    current: MaybeFile = None,
    /,
    *,
    columns: Names = None,
    categorical: Names = None,
    numeric: Names = None,
    scale: Literal["std", "iqr", "mad", "range", "none"] = "std",
    joint: bool = True,
    resamples: Integer = 999,
    seed: Integer = 0,
    json: Flag = False,
    html: Path | None = None,
    every: Flag = False,
    groups: str | None = None,
    blocks: Integer | None = None,
    weights: str | None = None,
    periodic: Pairs = None,
    units: Pairs = None,
    names: tuple[str, str] | None = None,
    fail: Flag = False,
    fail_p: float | None = None,
    fail_above: float | None = None,
    fail_missing: float | None = None,
    allow: Allowed = None,
    text: TextOptions | None = None,
) -> int:
    """Compare two tables, column by column and jointly.

    Exit status: 0; 1 if a rule of --fail... is broken, which standard error tells; 2 if the tables cannot
    be compared. Every rule also fails on a column that is gone, new, of another kind or not readable,
    unless --allow names it, and on one that could not be measured or decided.

    Parameters
    ----------
    reference
        Text (CSV, TSV), Parquet, Feather, JSON lines, NPY or NPZ file, also compressed; folder or
        quoted pattern of parts; or - for standard input.
    current
        File to compare with it.
    columns
        Columns to compare. Default: all.
    categorical
        Columns to read as labels, such as codes that are written as numbers.
    numeric
        Columns to read as numbers, such as amounts with a currency or percent sign.
    scale
        What of the reference column the scaled distance divides by.
    joint
        Also compare whole rows.
    resamples
        Relabellings behind each p-value; columns that need more get more.
    seed
        Seed of the relabellings.
    json
        Print JSON instead of a table.
    html
        Also write a report page.
    every
        List columns that did not move even where there are many.
    groups
        Column whose values, such as customers, were sampled as wholes: their rows are relabelled together.
    blocks
        Number of consecutive rows that are relabelled together, for rows in order of time.
    weights
        Column of weights of the rows.
    periodic
        Columns on a circle with their periods, such as hour=24.
    units
        Units of columns, such as amount=EUR.
    names
        What the report calls the two tables. Default: the names of the files.
    fail
        Exit with 1 if anything moved: as --fail-p 0.05.
    fail_p
        Exit with 1 if the p-value of a column, of its share of missing values, or of the rows, adjusted for
        the number of tests, is at most this.
    fail_above
        Exit with 1 if the W1/scale of a column that moved exceeds this.
    fail_missing
        Exit with 1 if a column's share of missing values changes by more than this.
    allow
        What does not fail: gone, new, retyped, unreadable.
    """
    from otdist.tables import compare as compare_tables
    from otdist.tables.files import open_alike, table_notes

    reference, current = resolve_files("compare", reference, current, columns, categorical, numeric)
    check_html(html)
    gate = _make_gate(fail=fail, p=fail_p, above=fail_above, missing=fail_missing, allowed=allow)
    with shell_errors({"reference": reference, "current": current}):
        columns_read = columns and [*columns, *(name for name in (groups, weights) if name is not None)]
        reading = (text or TextOptions()).to_reading(columns_read, categorical, numeric)
        tables = open_alike((reference, current), reading)
        comparison = compare_tables(
            *tables,
            columns=columns,
            categorical=categorical or (),
            numeric=numeric or (),
            scale=scale,
            joint=joint,
            n_resamples=resamples,
            level=gate.p if gate.p is not None else DEFAULT_LEVEL,
            groups=groups,
            blocks=blocks,
            weights=weights,
            periodic=_parse_numbers(_parse_assignments(periodic, "--periodic"), "--periodic"),
            units=_parse_assignments(units, "--units"),
            names=names or (Path(reference).name, Path(current).name),
            rng=seed,
            progress=sys.stderr.isatty(),
        )
    file_notes = dict.fromkeys(note for table in tables for note in table_notes(table))
    comparison = replace(comparison, notes=(*file_notes, *comparison.notes))
    _print_comparison(comparison, html=html, as_json=json, every=every)
    violations = gate.violations(comparison)
    for line in violations:
        print_message(f"FAILED: {line}")
    return EXIT_RULE_BROKEN if violations else 0


def _make_gate(
    *, fail: bool, p: float | None, above: float | None, missing: float | None, allowed: Sequence[str] | None
) -> Gate:
    """Make the gate; raises InputError for thresholds that nothing or everything would exceed."""
    from otdist.tables.decisions import MAX_COLUMN_DRAWS
    from otdist.tables.gate import Gate

    min_pvalue = 1 / (MAX_COLUMN_DRAWS + 1)
    if p is not None:
        check_number(p, "--fail-p", above=min_pvalue, at_most=1, remedy="give 0.05")
    if above is not None:
        check_number(above, "--fail-above", at_least=0, remedy="give a number such as 0.2")
    if missing is not None:
        check_number(missing, "--fail-missing", at_least=0, at_most=1, remedy="give a share such as 0.1")
    p = DEFAULT_LEVEL if fail and p is None else p
    gate = Gate(p, above, missing, tuple(allowed or ()))
    if allowed and not gate.has_rules:
        raise InputError("--allow", "is given without a rule", "add --fail, or another --fail-... option")
    return gate


def _parse_assignments(pairs: list[str] | None, option: str) -> dict[str, str]:
    """Parse NAME=VALUE pairs; a name may contain '='."""
    values = {}
    for pair in pairs or ():
        name, equals, value = pair.rpartition("=")
        if not (equals and name and value):
            raise InputError(option, f"must be NAME=VALUE, got {pair!r}", "write it as hour=24")
        values[name] = value
    return values


def _parse_numbers(texts: dict[str, str], option: str) -> dict[str, float]:
    numbers = {}
    for name, text in texts.items():
        try:
            numbers[name] = float(text)
        except ValueError:
            raise InputError(option, f"must give a number, got {name}={text}", f"write {name}=24") from None
    return numbers


def _print_comparison(
    comparison: Comparison, *, html: Path | None, as_json: bool, every: bool = False
) -> None:
    from rich.console import Console

    from otdist.tables.terminal import make_sheet

    if as_json:
        print(comparison.to_json())
    else:
        # In a pipe rich would fold at 80 columns.
        width = None if sys.stdout.isatty() or "COLUMNS" in os.environ else 120
        Console(width=width).print(make_sheet(comparison, every=every))
    if html is not None:
        path = comparison.report(html)
        print(f"Report: {path}", file=sys.stderr if as_json else sys.stdout)
