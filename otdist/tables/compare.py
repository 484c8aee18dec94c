"""``compare``: two tables in, one report out."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from otdist.errors import InputError
from otdist.progress import working
from otdist.stats.null import Rng, generator, require_count
from otdist.tables.columns import Column, matched, read_columns
from otdist.tables.comparison import ColumnReport, Comparison
from otdist.tables.joint import joint as compare_rows
from otdist.tables.measure import SCALES, Scale, measure


def compare(
    reference: Any,
    current: Any,
    *,
    columns: Sequence[str] | None = None,
    scale: Scale = "std",
    joint: bool = True,
    n_resamples: int = 999,
    max_rows: int = 2000,
    test_rows: int = 500,
    rng: Rng = 0,
    progress: bool = False,
) -> Comparison:
    """Compare two tables column by column and jointly, with noise floor and p-values.

    Parameters
    ----------
    reference, current : DataFrame, array or dict of columns
        pandas, polars, pyarrow and whatever else narwhals reads. Columns are matched by name:
        numbers, booleans, dates and labels each get the distance that fits them.
    columns : sequence of str, optional
        Columns to compare. None: all that both tables have.
    scale : {"std", "iqr", "mad", "range", "none"}
        What of the reference column the scaled distance divides by.
    joint : bool
        Whether to compare the rows as well.
    n_resamples : int
        Permutations for each column's p-value (at most 199 for the rows).
    max_rows, test_rows : int
        Largest number of rows a side for the joint distance and for its test; more are
        sampled at random, and the report says so.
    rng : int or Generator
        Seed; the default makes reports repeatable.
    progress : bool
        Show a bar on standard error.

    Returns
    -------
    Comparison
        ``columns`` (W1 in the column's units, W1 over the scale, floor, p, q), ``joint``,
        ``to_dict()``, ``to_json()``, ``report(path)``.

    Raises
    ------
    InputError
        If no column is shared, a column has another kind on the two sides, or a table cannot
        be read.

    Notes
    -----
    Cost: O(n log n + n n_resamples) a column; the joint part is about 300 exact solves on
    ``test_rows`` rows. False discovery rate: Benjamini, Hochberg (1995), by scipy.

    Examples
    --------
    >>> import otdist
    >>> before = {"age": [31, 45, 52, 38, 29, 60], "team": list("aabbcc")}
    >>> after = {"age": [33, 47, 54, 40, 31, 62], "team": list("aaabbb")}
    >>> report = otdist.compare(before, after)
    >>> report["age"].w1
    2.0
    >>> round(report["team"].w1, 3)
    0.333
    """
    _check(scale, n_resamples, max_rows, test_rows)
    if isinstance(columns, str) or (columns is not None and not columns):
        raise InputError("columns", f"is {columns!r}", "give a list of names, or None for all")
    before, odd_before = read_columns(reference, "reference")
    after, odd_after = read_columns(current, "current")
    names, notes = _shared(before, after, columns, odd_before | odd_after)
    seed = int(generator(rng).integers(2**63))
    pairs = [matched(before[name], after[name]) for name in names]
    reports = []
    for old, new in _tracked(pairs, progress):
        # Seeded by name: a column's figures do not depend on which others are compared.
        own = np.random.default_rng([seed, zlib.crc32(old.name.encode(errors="surrogatepass"))])
        reports.append(measure(old, new, scale, n_resamples, own))
    reports = _with_discovery_rate(reports)
    rows = None
    if joint:
        with working(progress, "rows: exact transport, again for each relabelling"):
            rows = compare_rows(
                pairs,
                reports,
                max_rows=max_rows,
                test_rows=test_rows,
                n_resamples=n_resamples,
                rng=np.random.default_rng(seed),
            )
    return Comparison(
        columns=tuple(reports),
        joint=rows,
        scale=scale,
        n_reference=len(pairs[0][0].values),
        n_current=len(pairs[0][1].values),
        n_resamples=n_resamples,
        notes=tuple(notes),
    )


def _check(scale: str, n_resamples: int, max_rows: int, test_rows: int) -> None:
    if scale not in SCALES:
        raise InputError("scale", f"{scale!r} is unknown", f"use one of {SCALES}")
    require_count(n_resamples)
    for name, count in (("max_rows", max_rows), ("test_rows", test_rows)):
        require_count(count, name)
        if count < 2:
            raise InputError(name, f"{count} is too few", "use at least 2")


def _shared(
    before: dict[str, Column],
    after: dict[str, Column],
    columns: Sequence[str] | None,
    unreadable: dict[str, str],
) -> tuple[list[str], list[str]]:
    """Names of the columns to compare, and what a reader must know about the others."""
    notes = [f"left out: {name} (type {dtype})" for name, dtype in unreadable.items()]
    if columns is not None:
        for name in columns:
            if name in unreadable:
                raise InputError(
                    "columns", f"{name!r} has type {unreadable[name]}", "convert it, or leave it out"
                )
        for side, table in (("reference", before), ("current", after)):
            missing = [name for name in columns if name not in table]
            if missing:
                raise InputError("columns", f"{missing} not in {side}", f"choose from {list(table)}")
        return list(dict.fromkeys(columns)), notes
    names = [name for name in before if name in after]
    if not names:
        left_out = f", {'; '.join(notes)}" if notes else ""
        raise InputError(
            "current",
            f"shares no column with the reference ({list(after)[:5]} against {list(before)[:5]}{left_out})",
            "rename the columns so that they match",
        )
    for side, table, other in (("reference", before, after), ("current", after, before)):
        if only := [name for name in table if name not in other and name not in unreadable]:
            notes.append(f"only in {side}: {', '.join(only)}")
    if [name for name in after if name in before] != names:
        notes.append("columns of current stand in another order; matched by name")
    return names, notes


def _tracked(pairs: list[tuple[Column, Column]], progress: bool) -> Any:
    if not progress:
        return pairs
    from rich.console import Console
    from rich.progress import track

    return track(pairs, description="columns", console=Console(stderr=True), transient=True)


def _with_discovery_rate(reports: list[ColumnReport]) -> list[ColumnReport]:
    from scipy.stats import false_discovery_control

    tested = [k for k, report in enumerate(reports) if np.isfinite(report.pvalue)]
    if not tested:
        return reports
    adjusted = false_discovery_control([reports[k].pvalue for k in tested])
    for k, q in zip(tested, adjusted, strict=True):
        reports[k] = replace(reports[k], qvalue=float(q))
    return reports
