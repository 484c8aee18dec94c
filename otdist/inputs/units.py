"""Numbers with a physical unit, as astropy, pint and unyt have them; none of them is imported."""

from __future__ import annotations

from collections.abc import Iterator
from inspect import isroutine
from itertools import chain
from typing import Any

import numpy as np

from otdist.errors import InputError

PURE = ("", "dimensionless")  # how the packages call a number without unit
DEEPEST = 64  # axes that NumPy allows; a list that holds itself ends there
UNITLESS = ("builtins", "numpy", "decimal", "fractions", "datetime", "torch")  # packages without units
TIMES = ("pandas", "polars", "pyarrow")  # there ``unit`` is the resolution of times


def plain_types(values: Any) -> set[type]:
    """Types of the items of a list or tuple, nested ones included."""
    found: set[type] = set()
    level: Any = values
    for _ in range(DEEPEST):
        types = set(map(type, level))
        found |= types
        if not types or types - {list, tuple}:
            break
        level = list(chain.from_iterable(level))
    return found


def unit_of(values: Any) -> Any:
    """Unit of an array, number or list of these, or None."""
    if isinstance(values, list | tuple):
        if any(_may_have_unit(kind) for kind in plain_types(values)):
            return next((unit for item in _leaves(values) if (unit := unit_of(item)) is not None), None)
        return None
    if is_data_array(values):
        return unit_of(values.data)
    if not _may_have_unit(type(values)):
        return None
    for attribute in ("unit", "units"):
        unit = getattr(values, attribute, None)
        if unit is not None and not isroutine(unit):
            return unit
    return None


def without_unit(values: Any, name: str, unit: Any = None) -> Any:
    """Numbers of a quantity in the given unit; None: in its own. What has no unit comes back as it is.

    Raises
    ------
    InputError
        If the units cannot be converted, or only one of the two is there.
    """
    own = unit_of(values)
    if own is None:
        return values
    if isinstance(values, list | tuple):
        target = own if unit is None else unit
        rows = [without_unit(item, name, target) if _has_leaves(item) else item for item in values]
        return [item if _has_leaves(item) else _number(item, name, target) for item in rows]
    if is_data_array(values):
        return values.copy(data=without_unit(values.data, name, unit))
    return _magnitude(values if unit is None or _same(own, unit) else _converted(values, name, own, unit))


def in_unit(values: Any, name: str, unit: str) -> Any:
    """Quantities in the given unit, which they keep; what has no unit comes back as it is.

    Raises InputError if they cannot be converted.
    """
    if isinstance(values, list | tuple):
        parts = unit_of(values) is not None
        return [in_unit(item, name, unit) for item in values] if parts else values
    if is_data_array(values):
        note = _common_note(values, values, (name, name))
        if unit_of(values) is None and note and not note.startswith(unit):
            raise InputError(name, f"has unit {note} in its attributes, not {unit}", f"convert it to {unit}")
        return values.copy(data=in_unit(values.data, name, unit))
    own = unit_of(values)
    return values if own is None or _text(own) == unit else _converted(values, name, own, unit)


def common_unit(x: Any, y: Any, names: tuple[str, str]) -> tuple[Any, Any, str]:
    """Both samples as plain numbers in the unit of the first, and its name ("" for none)."""
    unit, other = unit_of(x), unit_of(y)
    if unit is None and other is None:
        return x, y, _common_note(x, y, names)
    if unit is None or other is None:
        number = _pure(other if unit is None else unit)
        if number is None:
            with_unit, without = names if other is None else names[::-1]
            problem = f"has unit {_text(unit if other is None else other)}, {without} has none"
            raise InputError(with_unit, problem, "give both a unit, or none")
        if unit is None:
            return x, without_unit(y, names[1], number), ""
        return without_unit(x, names[0], number), y, ""
    left, right = without_unit(x, names[0]), without_unit(y, names[1], unit)
    return left, right, "" if _is_pure(unit) else _text(unit)


def _common_note(x: Any, y: Any, names: tuple[str, str]) -> str:
    """Unit that the attributes of xarray state, as text that nothing can convert."""
    notes = [str(z.attrs.get("units", "")) if is_data_array(z) else "" for z in (x, y)]
    if all(notes) and notes[0] != notes[1]:
        problem = f"has unit {notes[1]} in its attributes, {names[0]} has {notes[0]}"
        raise InputError(names[1], problem, "bring both samples to one unit")
    return notes[0] or notes[1]


def is_data_array(values: Any) -> bool:
    """Whether this is an xarray.DataArray; xarray is not imported."""
    return all(hasattr(values, attribute) for attribute in ("dims", "indexes", "attrs", "data"))


def unit_name(values: Any) -> str:
    """Name of the unit of an argument, "" for none."""
    unit = unit_of(values)
    return _common_note(values, values, ("x", "y")) if unit is None else _text(unit)


def refuse_unit(values: Any, name: str) -> None:
    """Raise InputError for numbers with a unit, where an argument has none."""
    unit = unit_of(values)
    if unit is not None:
        raise InputError(
            name, f"has unit {_text(unit)}", "pass its numbers in the unit you mean, such as .value"
        )


def _may_have_unit(kind: type) -> bool:
    return kind.__module__.split(".")[0] not in (*UNITLESS, *TIMES)


def _leaves(values: Any) -> Iterator[Any]:
    for item in values:
        if isinstance(item, list | tuple):
            yield from _leaves(item)
        else:
            yield item


def _has_leaves(item: Any) -> bool:
    return isinstance(item, list | tuple)


def _number(item: Any, name: str, unit: Any) -> Any:
    if item is None or (isinstance(item, float) and item != item):
        return item
    if unit_of(item) is None:
        raise InputError(name, f"has {item!r} beside numbers in {_text(unit)}", "give all a unit, or none")
    return without_unit(item, name, unit)


def _converted(values: Any, name: str, own: Any, unit: Any) -> Any:
    try:
        return values.to(unit)
    except Exception as error:  # each package has errors of its own for units that do not fit
        reason = " ".join(str(error).split())[:120]
        raise InputError(
            name,
            f"has unit {_text(own)}, which does not convert to {_text(unit)} ({reason})",
            "bring both samples to one unit",
        ) from None


def _magnitude(values: Any) -> Any:
    for attribute in ("magnitude", "value"):
        numbers = getattr(values, attribute, None)
        if numbers is not None and not callable(numbers):
            return numbers
    return np.asarray(values).view(np.ndarray)


def _same(one: Any, other: Any) -> bool:
    try:
        return type(one) is type(other) and bool(one == other)
    except Exception:  # units of two packages
        return False


def _pure(unit: Any) -> Any:
    """The number 1 as a unit, if this unit is a multiple of it; None for lengths, times and so on."""
    if _is_pure(unit):
        return unit
    for name in PURE:
        try:
            (1.0 * unit).to(name)
        except Exception:
            continue
        return name
    return None


def _is_pure(unit: Any) -> bool:
    return _text(unit) in PURE


def _text(unit: Any) -> str:
    return " ".join(str(unit).split())
