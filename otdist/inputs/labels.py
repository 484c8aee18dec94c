"""Row and column labels of pandas and compatible Index classes, without importing pandas.

Labels assign weights to points. If two related arguments both have labels, they are matched by label, as in
pandas, or an error is raised; they are never matched by position. A default index 0, 1, 2, ... is a label,
too: otherwise a filtered frame and an unfiltered series would silently be matched by position.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from otdist.errors import InputError
from otdist.inputs.units import is_data_array
from otdist.typing import Index, Labels

if TYPE_CHECKING:
    import pandas


def get_axis_labels(values: object) -> tuple[Labels, Labels]:
    """Return the labels of rows and columns, each None if there are none."""
    if is_data_array(values):
        labels = [values.indexes.get(dim) for dim in values.dims]
        labels += [None] * (2 - len(labels))
        return labels[0], labels[1]
    rows = getattr(values, "index", None)
    if not _is_index(rows):
        return None, None
    columns = getattr(values, "columns", None)
    return rows, columns if _is_index(columns) else None


def require_same_axes(x: object, y: object) -> None:
    """Raise InputError if two xarray arrays have the same axes in different orders."""
    if is_data_array(x) and is_data_array(y) and x.dims != y.dims and set(x.dims) == set(y.dims):
        raise InputError(
            "y", f"must have axes {x.dims} like x, got {y.dims}", f"pass y.transpose{tuple(x.dims)}"
        )


def match_labels(labels: Labels, target: Labels, name: str, target_name: str) -> Index | None:
    """Find the positions that sort the items of ``labels`` in the order of ``target``.

    Parameters
    ----------
    labels, target : pandas.Index or None
        Labels of the argument ``name``, and of the argument that it is matched with.
    name, target_name : str
        Names of both in messages.

    Returns
    -------
    ndarray or None
        None if the order is the same, or if one of the two has no labels.

    Raises
    ------
    InputError
        If the labels differ, or if their order differs and they are not unique.
    """
    if labels is None or target is None or _labels_equal(labels, target):
        return None
    for index, owner in ((labels, name), (target, target_name)):
        if not index.is_unique:
            duplicate = index[index.duplicated()][0]
            problem = f"cannot be matched by label with {target_name}: {duplicate!r} stands twice in {owner}"
            raise InputError(name, problem, _make_remedy(name))
    order = _find_positions(labels, target)
    reverse_order = None if order is None else _find_positions(target, labels)
    if order is None or reverse_order is None:
        problem = f"has an index of type {labels.dtype}, {target_name} one of type {target.dtype}"
        raise InputError(name, problem, _make_remedy(name))
    for positions, index, where in ((order, target, target_name), (reverse_order, labels, name)):
        if (positions < 0).any():
            unmatched = index[int(np.argmax(positions < 0))]
            problem = f"has other labels than {target_name}: {unmatched!r} is in {where} only"
            raise InputError(name, problem, _make_remedy(name))
    return order


def _is_index(labels: object) -> bool:
    return all(hasattr(labels, method) for method in ("get_indexer", "equals", "is_unique"))


def _labels_equal(labels: pandas.Index, target: pandas.Index) -> bool:
    try:
        return bool(labels.equals(target))
    except Exception:  # indexes that cannot be compared are not equal
        return False


def _find_positions(labels: pandas.Index, target: pandas.Index) -> Index | None:
    try:
        return np.asarray(labels.get_indexer(target), dtype=np.intp)
    except Exception:  # pandas raises various errors for indexes that cannot be matched
        return None


def _make_remedy(name: str) -> str:
    return f"match them first (.reindex), or pass {name}.to_numpy() to go by position"
