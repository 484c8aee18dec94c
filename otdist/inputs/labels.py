"""Row and column labels of pandas (and of what imitates its Index), without importing pandas.

Labels say which weight belongs to which point. Where two arguments that belong together both have
labels they are matched by label, as pandas does, or refused; never by position. A default index
0, 1, 2, ... counts: a frame that was filtered and a series that was not would otherwise be paired in
silence by their positions.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from otdist.errors import InputError
from otdist.inputs.units import is_data_array

Index = NDArray[np.intp]


def axis_labels(values: Any) -> tuple[Any, Any]:
    """Labels of the rows and of the columns, each None where there are none."""
    if is_data_array(values):
        known = [values.indexes.get(dim) for dim in values.dims]
        known += [None] * (2 - len(known))
        return known[0], known[1]
    rows = getattr(values, "index", None)
    if not _is_index(rows):
        return None, None
    columns = getattr(values, "columns", None)
    return rows, columns if _is_index(columns) else None


def require_same_axes(x: Any, y: Any) -> None:
    """Raise InputError where two arrays of xarray have the same axes in another order."""
    if is_data_array(x) and is_data_array(y) and x.dims != y.dims and set(x.dims) == set(y.dims):
        raise InputError("y", f"has axes {y.dims}, x has {x.dims}", f"pass y.transpose{tuple(x.dims)}")


def label_order(labels: Any, others: Any, name: str, other_name: str) -> Index | None:
    """Positions that bring what ``labels`` label into the order of ``others``.

    Parameters
    ----------
    labels, others : pandas.Index or None
        Labels of the argument ``name``, and of what it belongs to.
    name, other_name : str
        How messages call the two.

    Returns
    -------
    ndarray or None
        None where the order is the same already, or one of the two has no labels.

    Raises
    ------
    InputError
        If the labels differ, or are matched in another order and not unique.
    """
    if labels is None or others is None or _equal(labels, others):
        return None
    for index, whose in ((labels, name), (others, other_name)):
        if not index.is_unique:
            twice = index[index.duplicated()][0]
            problem = f"cannot be matched by label with {other_name}: {twice!r} stands twice in {whose}"
            raise InputError(name, problem, _remedy(name))
    order = _positions(labels, others)
    extra = None if order is None else _positions(others, labels)
    if order is None or extra is None:
        problem = f"has an index of type {labels.dtype}, {other_name} one of type {others.dtype}"
        raise InputError(name, problem, _remedy(name))
    for places, index, where in ((order, others, other_name), (extra, labels, name)):
        if (places < 0).any():
            alone = index[int(np.argmax(places < 0))]
            problem = f"has other labels than {other_name}: {alone!r} is in {where} only"
            raise InputError(name, problem, _remedy(name))
    return order


def _is_index(labels: Any) -> bool:
    return all(hasattr(labels, method) for method in ("get_indexer", "equals", "is_unique"))


def _equal(labels: Any, others: Any) -> bool:
    try:
        return bool(labels.equals(others))
    except Exception:  # indexes of two kinds that cannot be compared are not equal
        return False


def _positions(labels: Any, others: Any) -> Index | None:
    try:
        return np.asarray(labels.get_indexer(others), dtype=np.intp)
    except Exception:  # pandas raises its own errors for indexes of two kinds that cannot be matched
        return None


def _remedy(name: str) -> str:
    return f"match them first (.reindex), or pass {name}.to_numpy() to go by position"
