"""Columns of a kind that the caller declares: numbers that are labels, and text that is numbers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from otdist.errors import InputError, Option, Remedy
from otdist.tables.column import LABELLED, Column
from otdist.tables.labels import text
from otdist.tables.numerals import EMPTY_SIGNS, decimals_of, is_open, numbers_of, without_affix


def as_labels(column: Column) -> Column:
    """The column with its values as labels."""
    if column.kind in LABELLED:
        return replace(column, kind="categorical", unit="", note="")
    missing = column.missing
    numbers = column.values if column.exact is None else column.exact
    distinct, places = np.unique(numbers[~missing], return_inverse=True)
    codes = np.full(len(column.values), np.nan)
    codes[~missing] = places
    if column.kind == "boolean":
        labels = tuple(str(bool(value)) for value in distinct)
    elif column.kind == "datetime":
        labels = tuple(_written(value) for value in distinct)
    else:
        labels = tuple(text(value) for value in distinct.tolist())
    return Column(column.name, "categorical" if column.kind else None, codes, labels=labels)


def _written(days: float) -> str:
    return str(np.datetime64(0, "D") + np.timedelta64(round(days * 86_400_000), "ms"))


def as_numbers(column: Column, table: str) -> Column:
    """The column with its labels read as numbers.

    Raises
    ------
    InputError
        If one of them is not a number, their decimal mark is open, or they have two units.
    """
    if column.kind not in LABELLED:
        if column.kind == "datetime":
            raise InputError(
                f"{table}[{column.name!r}]", "holds times, not numbers", "leave it out of numeric"
            )
        return replace(column, kind="numeric" if column.kind else None)
    signs = [label for label in column.labels if label.strip() in EMPTY_SIGNS]
    kept = [label for label in column.labels if label not in signs]
    found = numbers_of(kept)
    if found is None:
        raise InputError(f"{table}[{column.name!r}]", *_fault(kept))
    table_of = dict(zip(kept, found.values.tolist(), strict=True))
    numbers = np.array([table_of.get(label, np.nan) for label in column.labels])
    values = np.full(len(column.values), np.nan)
    present = ~column.missing
    values[present] = numbers[column.values[present].astype(np.intp)]
    note = f"{', '.join(map(repr, signs))} read as missing" if signs else ""
    return Column(column.name, "numeric", values, unit=found.affix, note=note)


def _fault(labels: list[str]) -> tuple[str, str]:
    """Why labels are not numbers, and what to do."""
    for label in labels:
        if not decimals_of(without_affix(label)[0]):
            return f"{label!r} is not a number", "make it missing, or leave the column out of numeric"
    affixes = {affix for label in labels if (affix := without_affix(label)[1])}
    if len(affixes) > 1:
        return f"has two units, {' and '.join(sorted(affixes))}", "convert them to one"
    if is_open(labels):
        return (
            f"{labels[0]!r} may be two numbers",
            Remedy("state its decimal mark ({}), or convert it first", Option("decimal", "...")),
        )
    return "is written with two decimal marks", "convert it first"
