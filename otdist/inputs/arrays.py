"""Whatever the caller has, as float64 arrays; missing values become NaN.

Nothing is judged here beyond "can this be read as numbers": what the numbers must satisfy
(finite, non-negative, matching sizes) is said once, in ``problem.py``.
"""

from __future__ import annotations

import math
import sys
import warnings
from collections.abc import Iterator, Mapping, Sequence, ValuesView
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from otdist.errors import InputError, PrecisionWarning, get_reason
from otdist.inputs.exact_numbers import EXACT_INTEGER, to_seconds
from otdist.inputs.frames import from_dataframe, to_narwhals_input
from otdist.inputs.labels import get_axis_labels
from otdist.inputs.numbers import from_array, mask_values
from otdist.inputs.table import Table
from otdist.inputs.tensors import from_torch
from otdist.inputs.units import collect_types, is_data_array, refuse_unit
from otdist.runtime.budget import require_memory

if TYPE_CHECKING:
    from typing import TypeGuard

    from torch import Tensor

    class Sparse(Protocol):
        """A sparse array of scipy, or of the package sparse."""

        shape: tuple[int, ...]

        def todense(self) -> object:
            """Convert to a dense array."""


def is_torch(values: object) -> TypeGuard[Tensor]:
    """Whether ``values`` is a torch tensor, without importing torch."""
    # While another thread imports it, torch is listed before it has its classes: then there is no tensor yet.
    tensor = getattr(sys.modules.get("torch"), "Tensor", None)
    return isinstance(tensor, type) and isinstance(values, tensor)


def read(values: object, name: str) -> Table:
    """Read any container of plain numbers as float64; masked, null and None become NaN.

    Times and numbers with a unit are refused, and integers that float64 rounds warn.
    """
    table = values if isinstance(values, Table) else read_table(values, name)
    if table is not values:
        refuse_unit(values, name)
    if table.clock is not None:
        raise InputError(
            name,
            f"holds {table.clock.description} ({_type_of(values)}), which are not numbers",
            "convert them in a unit, such as (t - t.min()) / np.timedelta64(1, 's')",
        )
    warn_if_rounded(table, name)
    return table


def read_costs(values: object, name: str) -> Table:
    """Read numbers as :func:`read` does, or durations, which become seconds."""
    table = read_table(values, name)
    if table.clock is None or table.clock.kind == "datetime":
        return read(table, name)
    seconds, _ = to_seconds(table.to_exact_array(), np.isnan(table.values), table.clock.tick)
    return replace(table, values=seconds, raw=None)


def read_table(values: object, name: str) -> Table:
    """Read any container of numbers or times, with exact numbers, labels and clock where it has them."""
    if isinstance(values, Table):
        return values
    if isinstance(values, np.ndarray):
        if isinstance(values, np.ma.MaskedArray):
            return mask_values(from_array(np.asarray(values.data), name), np.ma.getmaskarray(values))
        return from_array(np.asarray(values), name)
    if is_torch(values):
        return from_torch(values, name)
    if isinstance(values, Iterator | ValuesView):
        values = list(values)
    if isinstance(values, list | tuple):
        return _from_list(values, name)
    if _is_sparse(values):
        return _densify(values, name)
    if isinstance(values, Mapping):
        raise InputError(
            name, f"is a mapping ({type(values).__name__})", "pass its values as an array or table"
        )
    return _from_labelled(values, name)


def _from_labelled(values: object, name: str) -> Table:
    """Read tables and whatever else knows how to become an array."""
    labels = get_axis_labels(values)
    if is_data_array(values):
        names = None if labels[1] is None else tuple(str(label) for label in labels[1])
        return replace(from_array(_asarray(values.data, name), name), columns=names, labels=labels)
    values = to_narwhals_input(values)
    frame = from_dataframe(values, name)
    table = from_array(_asarray(values, name), name) if frame is None else frame
    return replace(table, labels=labels)


def warn_if_rounded(table: Table, name: str) -> None:
    """Warn of integers that float64 does not hold."""
    parts = table.raw if isinstance(table.raw, tuple) else (table.to_exact_array(),)
    if any(part.dtype.kind in "iuO" for part in parts):
        warn_rounded(name)


def warn_rounded(name: str, kind: str = "integers beyond 2**53") -> None:
    """Warn that the interval is that of rounded numbers."""
    warnings.warn(
        f"{name}: {kind} are rounded to float64, and the interval is that of the rounded "
        "numbers; subtract a common offset first, or take a coarser unit",
        PrecisionWarning,
        stacklevel=caller_level(),
    )


def _from_list(values: Sequence[object], name: str) -> Table:
    types = collect_types(values)
    if any(kind.__module__.split(".")[0] == "torch" for kind in types):
        parts = [from_torch(item, name) if is_torch(item) else read_table(item, name) for item in values]
        if any(getattr(item, "requires_grad", False) for item in values):
            raise InputError(name, "is a list of tensors with gradient", "pass torch.stack(...) of them")
        if any(part.raw is not None for part in parts):
            return from_array(_asarray([part.to_exact_array().tolist() for part in parts], name), name)
        return Table(_asarray([part.values for part in parts], name))
    return from_array(_asarray(values, name), name)


def _asarray(values: object, name: str) -> NDArray[Any]:
    try:
        if not hasattr(values, "__array__") and hasattr(values, "__dlpack__"):
            return np.from_dlpack(values)
        array = np.asarray(values)
        if array.dtype.kind == "f" and array.size and isinstance(values, list | tuple):
            with np.errstate(invalid="ignore"):
                if float(np.abs(array).max()) > EXACT_INTEGER:
                    return np.asarray(values, dtype=object)  # whole numbers among them may be rounded
        return array
    except MemoryError:
        raise
    except Exception as error:  # a container raises what it likes when asked for an array
        reason = get_reason(error)
        if isinstance(values, list | tuple):
            raise InputError(
                name, f"rows have different lengths or types ({reason})", "give every row the same columns"
            ) from None
        raise InputError(
            name, f"{type(values).__name__} cannot be read as an array ({reason})", "pass a NumPy array"
        ) from None


def _is_sparse(values: object) -> TypeGuard[Sparse]:
    # While another thread imports it, scipy.sparse is listed before it has its contents.
    issparse = getattr(sys.modules.get("scipy.sparse"), "issparse", None)
    if issparse is not None and issparse(values):
        return True
    return type(values).__module__.split(".")[0] == "sparse" and hasattr(values, "todense")


def _densify(values: Sparse, name: str) -> Table:
    size = " x ".join(str(k) for k in values.shape)
    require_memory(
        8 * math.prod(values.shape),
        f"{name}: a dense copy of this sparse {size} array",
        "reduce the columns first (for instance by a principal component analysis)",
    )
    return from_array(np.asarray(values.toarray() if hasattr(values, "toarray") else values.todense()), name)


def _type_of(values: object) -> str:
    dtype = getattr(values, "dtype", None)
    return type(values).__name__ if dtype is None else f"dtype {dtype}"


def caller_level() -> int:
    """Stack level of the first frame outside otdist, so that warnings point at the caller."""
    level, frame = 1, sys._getframe(1)
    while frame.f_back is not None and frame.f_globals.get("__name__", "").startswith("otdist"):
        frame, level = frame.f_back, level + 1
    return level
