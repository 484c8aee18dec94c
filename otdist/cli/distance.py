"""``otdist w1``: the distance between two files of points."""

from __future__ import annotations

import sys
from typing import Literal

from otdist.cli.app import Flag, app
from otdist.cli.shell import dumped, in_words_of_the_shell


@app.command
def w1(
    x: str,
    y: str,
    /,
    *,
    p: float = 1.0,
    metric: str = "euclidean",
    method: str = "auto",
    tol: float = 0.0,
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
    from otdist.distance import wasserstein
    from otdist.tables.files import read_file

    with in_words_of_the_shell({"x": x, "y": y}):
        result = wasserstein(
            read_file(x),
            read_file(y),
            p=p,
            metric=metric,
            method=method,
            tol=tol,
            nan_policy=nan_policy,
            max_seconds=max_seconds,
            progress=sys.stderr.isatty(),
            on_fail="raise" if max_seconds is None else "warn",
        )
    print(dumped(result.to_dict()) if json else result)
    return 0
