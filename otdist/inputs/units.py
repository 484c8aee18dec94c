"""Quantities with a physical unit of astropy, pint and unyt, without importing these packages."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Mapping
from inspect import isroutine
from itertools import chain
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from otdist.errors import InputError, get_reason

if TYPE_CHECKING:
    from typing import TypeGuard

    import pandas

    class DataArray(Protocol):
        """An xarray.DataArray."""

        dims: tuple[Hashable, ...]
        indexes: Mapping[Hashable, pandas.Index]
        attrs: Mapping[str, object]
        data: object

        def copy(self, *, data: object) -> DataArray:
            """Copy with other data."""


DIMENSIONLESS_NAMES = ("", "dimensionless")  # names of the unit 1 in the packages
MAX_NESTING_DEPTH = 64  # largest number of axes in NumPy; also ends the recursion of self-containing lists
UNITLESS_PACKAGES = (
    "builtins",
    "numpy",
    "decimal",
    "fractions",
    "datetime",
    "torch",
)  # packages without units
TIME_RESOLUTION_PACKAGES = (
    "pandas",
    "polars",
    "pyarrow",
)  # ``unit`` is the resolution of times in these packages


def collect_types(values: Iterable[object]) -> set[type]:
    """Collect the types of the items of a list or tuple, including nested items."""
    collected: set[type] = set()
    level: Any = values
    for _ in range(MAX_NESTING_DEPTH):
        types = set(map(type, level))
        collected |= types
        if not types or types - {list, tuple}:
            break
        level = list(chain.from_iterable(level))
    return collected


def get_unit(values: object) -> object:
    """Return the unit of an array, a number or a list of these, or None."""
    if isinstance(values, list | tuple):
        if any(_may_have_unit(kind) for kind in collect_types(values)):
            return next(
                (unit for item in _iterate_leaves(values) if (unit := get_unit(item)) is not None), None
            )
        return None
    if is_data_array(values):
        return get_unit(values.data)
    if not _may_have_unit(type(values)):
        return None
    for attribute in ("unit", "units"):
        unit = getattr(values, attribute, None)
        if unit is not None and not isroutine(unit):
            return unit
    return None


def strip_unit(values: object, name: str, unit: object = None) -> object:
    """Convert a quantity to plain numbers in ``unit`` (None: its own); return unitless values unchanged.

    Raises
    ------
    InputError
        If the units cannot be converted, or only some of the items have a unit.
    """
    own_unit = get_unit(values)
    if own_unit is None:
        return values
    if isinstance(values, list | tuple):
        target = own_unit if unit is None else unit
        rows = [strip_unit(item, name, target) if _is_nested(item) else item for item in values]
        return [item if _is_nested(item) else _strip_item_unit(item, name, target) for item in rows]
    if is_data_array(values):
        return values.copy(data=strip_unit(values.data, name, unit))
    return _get_magnitude(
        values
        if unit is None or _units_equal(own_unit, unit)
        else _convert_quantity(values, name, own_unit, unit)
    )


def convert_unit(values: object, name: str, unit: str) -> object:
    """Convert quantities to ``unit``, which they keep; return unitless values unchanged.

    Raises InputError if they cannot be converted.
    """
    if isinstance(values, list | tuple):
        parts = get_unit(values) is not None
        return [convert_unit(item, name, unit) for item in values] if parts else values
    if is_data_array(values):
        attribute = _read_common_attribute(values, values, (name, name))
        if get_unit(values) is None and attribute and not attribute.startswith(unit):
            raise InputError(
                name, f"has unit {attribute} in its attributes, not {unit}", f"convert it to {unit}"
            )
        return values.copy(data=convert_unit(values.data, name, unit))
    own_unit = get_unit(values)
    return (
        values
        if own_unit is None or _format_unit(own_unit) == unit
        else _convert_quantity(values, name, own_unit, unit)
    )


def to_common_unit(x: object, y: object, names: tuple[str, str]) -> tuple[object, object, str]:
    """Convert both samples to plain numbers in the unit of the first; also return its name ("" for none)."""
    unit, other_unit = get_unit(x), get_unit(y)
    if unit is None and other_unit is None:
        return x, y, _read_common_attribute(x, y, names)
    if unit is None or other_unit is None:
        number = _find_dimensionless_unit(other_unit if unit is None else unit)
        if number is None:
            with_unit, without = names if other_unit is None else names[::-1]
            problem = (
                f"has unit {_format_unit(unit if other_unit is None else other_unit)}, {without} has none"
            )
            raise InputError(with_unit, problem, "give both a unit, or none")
        if unit is None:
            return x, strip_unit(y, names[1], number), ""
        return strip_unit(x, names[0], number), y, ""
    left, right = strip_unit(x, names[0]), strip_unit(y, names[1], unit)
    return left, right, "" if _is_dimensionless(unit) else _format_unit(unit)


def _read_common_attribute(x: object, y: object, names: tuple[str, str]) -> str:
    """Return the unit in the attributes of xarray arrays, a text that cannot be converted."""
    attributes = [str(z.attrs.get("units", "")) if is_data_array(z) else "" for z in (x, y)]
    if all(attributes) and attributes[0] != attributes[1]:
        problem = f"has unit {attributes[1]} in its attributes, {names[0]} has {attributes[0]}"
        raise InputError(names[1], problem, "bring both samples to one unit")
    return attributes[0] or attributes[1]


def is_data_array(values: object) -> TypeGuard[DataArray]:
    """Return whether this is an xarray.DataArray; xarray is not imported."""
    return all(hasattr(values, attribute) for attribute in ("dims", "indexes", "attrs", "data"))


def get_unit_name(values: object) -> str:
    """Return the name of the unit of an argument, "" for none."""
    unit = get_unit(values)
    return _read_common_attribute(values, values, ("x", "y")) if unit is None else _format_unit(unit)


def refuse_unit(values: object, name: str) -> None:
    """Raise InputError if an argument without unit gets a quantity."""
    unit = get_unit(values)
    if unit is not None:
        raise InputError(
            name, f"has unit {_format_unit(unit)}", "pass its numbers in the unit you mean, such as .value"
        )


def _may_have_unit(kind: type) -> bool:
    return kind.__module__.split(".")[0] not in (*UNITLESS_PACKAGES, *TIME_RESOLUTION_PACKAGES)


def _iterate_leaves(values: Iterable[object]) -> Iterator[object]:
    for item in values:
        if isinstance(item, list | tuple):
            yield from _iterate_leaves(item)
        else:
            yield item


def _is_nested(item: object) -> TypeGuard[list[object] | tuple[object, ...]]:
    return isinstance(item, list | tuple)


def _strip_item_unit(item: object, name: str, unit: object) -> object:
    if item is None or (isinstance(item, float) and item != item):
        return item
    if get_unit(item) is None:
        raise InputError(
            name, f"has {item!r} beside numbers in {_format_unit(unit)}", "give all a unit, or none"
        )
    return strip_unit(item, name, unit)


def _convert_quantity(values: Any, name: str, from_unit: object, unit: object) -> object:
    try:
        return values.to(unit)
    except Exception as error:  # each package has its own errors for incompatible units
        reason = get_reason(error)
        raise InputError(
            name,
            f"has unit {_format_unit(from_unit)}, which does not convert to {_format_unit(unit)} ({reason})",
            "bring both samples to one unit",
        ) from None


def _get_magnitude(values: object) -> object:
    for attribute in ("magnitude", "value"):
        numbers = getattr(values, attribute, None)
        if numbers is not None and not callable(numbers):
            return numbers
    return np.asarray(values).view(np.ndarray)


def _units_equal(first: object, second: object) -> bool:
    try:
        return type(first) is type(second) and bool(first == second)
    except Exception:  # units of different packages
        return False


def _find_dimensionless_unit(unit: Any) -> object:
    """Return the unit 1 if this unit is a multiple of it; None for lengths, times and so on."""
    if _is_dimensionless(unit):
        return unit
    for name in DIMENSIONLESS_NAMES:
        try:
            (1.0 * unit).to(name)
        except Exception:
            continue
        return name
    return None


def _is_dimensionless(unit: object) -> bool:
    return _format_unit(unit) in DIMENSIONLESS_NAMES


def _format_unit(unit: object) -> str:
    return " ".join(str(unit).split())
