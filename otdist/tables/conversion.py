"""Conversion of columns to kinds stated by the caller: numbers to labels, and text to numbers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from otdist.errors import InputError, Option, Remedy
from otdist.tables.column import LABEL_KINDS, Column
from otdist.tables.labels import format_label
from otdist.tables.numerals import MISSING_SIGNS, find_decimal_marks, is_ambiguous, parse_numbers, strip_affix


def to_labels(column: Column) -> Column:
    """Convert the values of a column to labels."""
    if column.kind in LABEL_KINDS:
        return replace(column, kind="categorical", unit="", note="")
    missing = column.missing
    numbers = column.values if column.exact is None else column.exact
    distinct, inverse = np.unique(numbers[~missing], return_inverse=True)
    codes = np.full(len(column.values), np.nan)
    codes[~missing] = inverse
    if column.kind == "boolean":
        labels = tuple(str(bool(value)) for value in distinct)
    elif column.kind == "datetime":
        labels = tuple(_format_date(value) for value in distinct)
    else:
        labels = tuple(format_label(value) for value in distinct.tolist())
    return Column(column.name, "categorical" if column.kind else None, codes, labels=labels)


def _format_date(days: float) -> str:
    return str(np.datetime64(0, "D") + np.timedelta64(round(days * 86_400_000), "ms"))


def to_numbers(column: Column, table: str) -> Column:
    """Convert the labels of a column to numbers.

    Raises
    ------
    InputError
        If one of them is not a number, their decimal mark is ambiguous, or they have two units.
    """
    if column.kind not in LABEL_KINDS:
        if column.kind == "datetime":
            raise InputError(
                f"{table}[{column.name!r}]", "holds times, not numbers", "leave it out of numeric"
            )
        return replace(column, kind="numeric" if column.kind else None)
    signs = [label for label in column.labels if label.strip() in MISSING_SIGNS]
    number_labels = [label for label in column.labels if label not in signs]
    numerals = parse_numbers(number_labels)
    if numerals is None:
        raise InputError(f"{table}[{column.name!r}]", *_explain_failure(number_labels))
    numbers_by_label = dict(zip(number_labels, numerals.values.tolist(), strict=True))
    numbers = np.array([numbers_by_label.get(label, np.nan) for label in column.labels])
    values = np.full(len(column.values), np.nan)
    present = ~column.missing
    values[present] = numbers[column.values[present].astype(np.intp)]
    note = f"{', '.join(map(repr, signs))} read as missing" if signs else ""
    return Column(column.name, "numeric", values, unit=numerals.affix, note=note)


def _explain_failure(labels: list[str]) -> tuple[str, str]:
    """Return the problem with labels that are not numbers, and its remedy."""
    for label in labels:
        if not find_decimal_marks(strip_affix(label)[0]):
            return f"{label!r} is not a number", "make it missing, or leave the column out of numeric"
    affixes = {affix for label in labels if (affix := strip_affix(label)[1])}
    if len(affixes) > 1:
        return f"has two units, {' and '.join(sorted(affixes))}", "convert them to one"
    if is_ambiguous(labels):
        return (
            f"{labels[0]!r} may be two numbers",
            Remedy("state its decimal mark ({}), or convert it first", Option("decimal", "...")),
        )
    return "is written with two decimal marks", "convert it first"
