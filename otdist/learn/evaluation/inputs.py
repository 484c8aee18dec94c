"""Samples and features as rows of numbers, checked once."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from otdist.arrays import is_torch, read
from otdist.errors import InputError
from otdist.learn.constraints.checks import at_rest

Array = NDArray[np.float64]
Features = Callable[[Any], Any]

BATCH = 512  # rows that a feature map sees at a time


def sample(values: Any, name: str, least: int = 1) -> Array:
    """Rows (n, d) in float64; all axes but the first are one row. Raises InputError."""
    refuse_labels(values, name)
    rows = read(values, name).values
    if rows.ndim == 0 or 0 in rows.shape:
        raise InputError(name, f"has shape {rows.shape}", "give rows of numbers, shape (n, d)")
    rows = rows.reshape(len(rows), -1)
    if not math.isfinite(float(np.abs(rows).max())):
        row = int(np.argmin(np.isfinite(rows).all(axis=1)))
        raise InputError(name, f"row {row} is not finite", "leave such rows out, or find what made them so")
    if len(rows) < least:
        raise InputError(name, f"has {len(rows)} rows, {least} are needed", "give more rows")
    return rows


def samples(least: int = 1, **values: Any) -> list[Array]:
    """Several samples of one space, by name."""
    names = list(values)
    read_in = [sample(value, name, least) for name, value in values.items()]
    for name, rows in zip(names[1:], read_in[1:], strict=True):
        if rows.shape[1] != read_in[0].shape[1]:
            what = f"has {rows.shape[1]} columns, {names[0]} has {read_in[0].shape[1]}"
            raise InputError(name, what, "give all samples in the same columns")
    return read_in


def refuse_labels(values: Any, name: str) -> None:
    """Raise for one whole number a row: class labels, most likely."""
    if whole(values) and len(getattr(values, "shape", (0,))) == 1:
        raise InputError(
            name,
            "is one whole number a row: labels, not samples",
            "give the samples themselves; make numbers float if they are meant",
        )


def whole(values: Any) -> bool:
    """Whether a container holds whole numbers by its type; of a nested list nothing is said."""
    if isinstance(values, list | tuple):
        return all(isinstance(value, int | np.integer) for value in values)
    kind = str(getattr(values, "dtype", "")).removeprefix("torch.").lower()
    return kind.startswith(("int", "uint", "bool"))


def featured(values: Any, features: Features, name: str) -> Array:
    """Features (n, d) of a sample, ``BATCH`` rows at a time, without gradient and in eval mode."""
    if not callable(features):
        raise InputError("features", f"{features!r} cannot be called", "give a function or a torch module")
    refuse_labels(values, name)
    if not (isinstance(values, np.ndarray) or is_torch(values)):
        values = read(values, name).values
    if values.ndim == 0 or 0 in values.shape:
        raise InputError(name, f"has shape {tuple(values.shape)}", "give rows, shape (n, ...)")
    parts = []
    with torch.no_grad(), at_rest(features):
        for start in range(0, len(values), BATCH):
            batch = values[start : start + BATCH]
            parts.append(_answer(features(_fitting(batch, features)), len(batch), name))
    if len({part.shape[1] for part in parts}) > 1:
        raise InputError("features", "gives rows of different lengths", "give the same number of columns")
    out = np.concatenate(parts)
    bad = ~np.isfinite(out).all(axis=1)
    if bad.any():
        raise InputError("features", f"row {int(np.argmax(bad))} of {name} is not finite", "look at that row")
    return out


def _fitting(batch: Any, features: Features) -> Any:
    """Batch as a module wants it: a tensor in the dtype and on the device of its parameters."""
    if not isinstance(features, nn.Module):
        return batch.detach() if is_torch(batch) else batch
    like = next(features.parameters(), None)
    tensor = torch.as_tensor(batch)
    if like is None:
        return tensor
    moved = tensor.to(like.device)
    # Whole numbers may be the indices of an embedding: they stay as they are.
    return moved.to(like.dtype) if moved.is_floating_point() else moved


def _answer(out: Any, count: int, name: str) -> Array:
    if not (isinstance(out, np.ndarray) or is_torch(out)):
        raise InputError("features", f"gives a {type(out).__name__}", "give an array or a tensor (n, d)")
    shape = tuple(out.shape)
    if not shape or shape[0] != count or 0 in shape:
        what = f"gives shape {shape} for {count} rows of {name}"
        raise InputError("features", what, "give one row of features for each row")
    return read(out, "features").values.reshape(count, -1)
