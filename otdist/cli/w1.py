"""``otdist w1``: the distance between two files of points."""

from __future__ import annotations

import sys
from typing import Literal

from otdist.cli.app import Flag, Names, app
from otdist.cli.shell import dump_json, print_message, shell_errors
from otdist.cli.table_options import MaybeFile, TextOptions, resolve_files, select_columns


@app.command
def w1(
    x: MaybeFile = None,
    y: MaybeFile = None,
    /,
    *,
    columns: Names = None,
    p: float = 1.0,
    metric: str = "euclidean",
    method: str = "auto",
    tol: float = 0.0,
    nan_policy: Literal["raise", "omit"] = "raise",
    max_seconds: float | None = None,
    json: Flag = False,
    text: TextOptions | None = None,
) -> int:
    """Wasserstein distance between the rows of two files of numbers.

    Parameters
    ----------
    x
        Text, Parquet, Feather, JSON lines, NPY or NPZ file, folder or pattern of parts, or - : one
        point a row.
    y
        The other sample.
    columns
        Columns to compare. Default: all.
    p
        Order of the distance.
    metric
        Ground metric: euclidean, cityblock, chebyshev, angular, gower, great_circle, ...
    method
        auto, line, circle, dense, sparse, sinkhorn or critic.
    tol
        Relative gap of the proved interval that is enough.
    nan_policy
        What to do with rows that have missing values.
    max_seconds
        Time after which the best proved interval is printed.
    json
        Print JSON.
    """
    from otdist.api.distance import wasserstein
    from otdist.tables.files import read_file, table_notes

    x, y = resolve_files("w1", x, y, columns)
    with shell_errors({"x": x, "y": y}):
        reading = (text or TextOptions()).to_reading(columns)
        samples = [select_columns(read_file(name, reading), columns, name) for name in (x, y)]
        for note in dict.fromkeys(note for sample in samples for note in table_notes(sample)):
            print_message(note)
        result = wasserstein(
            *samples,
            p=p,
            metric=metric,
            method=method,
            tol=tol,
            nan_policy=nan_policy,
            max_seconds=max_seconds,
            progress=sys.stderr.isatty(),
            on_fail="raise" if max_seconds is None else "warn",
        )
    print(dump_json(result.to_dict()) if json else result)
    return 0
