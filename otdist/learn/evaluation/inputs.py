"""Samples and features as rows of numbers, checked once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import nn

from otdist.errors import InputError
from otdist.inputs.arrays import is_torch, read
from otdist.inputs.clouds import require_finite
from otdist.learn.constraints.checks import eval_mode
from otdist.learn.modes import refuse_transforms
from otdist.typing import Array, ArrayInput, ArrayOrTensor

Features = Callable[[Any], ArrayInput]

FEATURE_BATCH_ROWS = 512  # rows in a call of a feature map


def read_sample(values: ArrayInput, name: str, min_rows: int = 1) -> Array:
    """Read rows (n, d) in float64, with all axes but the first flattened; raises InputError."""
    refuse_transforms(**{name: values})
    refuse_labels(values, name)
    rows = read(values, name).values
    if rows.ndim == 0 or 0 in rows.shape:
        raise InputError(name, f"must have shape (n, d), got {rows.shape}", "give rows of numbers")
    rows = rows.reshape(len(rows), -1)
    require_finite(rows, name, "leave such rows out, or find their cause")
    if len(rows) < min_rows:
        raise InputError(name, f"must have {min_rows} rows or more, got {len(rows)}", "give more rows")
    return rows


def read_samples(min_rows: int = 1, /, **values: ArrayInput) -> list[Array]:
    """Read several samples with the same columns, by name."""
    names = list(values)
    rows_by_sample = [read_sample(value, name, min_rows) for name, value in values.items()]
    for name, rows in zip(names[1:], rows_by_sample[1:], strict=True):
        if rows.shape[1] != rows_by_sample[0].shape[1]:
            columns = rows_by_sample[0].shape[1]
            problem = f"must have {columns} columns like {names[0]}, got {rows.shape[1]}"
            raise InputError(name, problem, "give all samples in the same columns")
    return rows_by_sample


def refuse_labels(values: object, name: str) -> None:
    """Raise InputError for one integer per row, which are most likely class labels."""
    if has_integers(values) and len(getattr(values, "shape", (0,))) == 1:
        raise InputError(
            name,
            "must be samples, got one integer per row, which may be labels",
            "give the samples; convert to float if these are the values",
        )


def has_integers(values: object) -> bool:
    """Return True if a container has an integer type; False for nested lists."""
    if isinstance(values, list | tuple):
        return all(isinstance(value, int | np.integer) for value in values)
    kind = str(getattr(values, "dtype", "")).removeprefix("torch.").lower()
    return kind.startswith(("int", "uint", "bool"))


def compute_features(values: ArrayInput, features: Features, name: str) -> Array:
    """Compute features (n, d) of a sample in batches, without gradient and in eval mode."""
    if not callable(features):
        raise InputError(
            "features", f"must be callable, got {features!r}", "give a function or a torch module"
        )
    refuse_transforms(**{name: values})
    refuse_labels(values, name)
    if not (isinstance(values, np.ndarray) or is_torch(values)):
        values = read(values, name).values
    if values.ndim == 0 or 0 in values.shape:
        raise InputError(name, f"must have shape (n, ...), got {tuple(values.shape)}", "give rows")
    parts = []
    with torch.no_grad(), eval_mode(features):
        for start in range(0, len(values), FEATURE_BATCH_ROWS):
            batch = values[start : start + FEATURE_BATCH_ROWS]
            parts.append(_read_features(features(_to_module_input(batch, features)), len(batch), name))
    if len({part.shape[1] for part in parts}) > 1:
        raise InputError("features", "must return rows of one length", "return the same number of columns")
    out = np.concatenate(parts)
    bad = ~np.isfinite(out).all(axis=1)
    if bad.any():
        problem = f"must be finite, row {int(np.argmax(bad))} of {name} is not"
        raise InputError("features", problem, "check that row")
    return out


def _to_module_input(batch: ArrayOrTensor, features: Features) -> ArrayOrTensor:
    """Convert a batch for a module, to the dtype and device of its parameters."""
    if not isinstance(features, nn.Module):
        return batch.detach() if is_torch(batch) else batch
    parameter = next(features.parameters(), None)
    tensor = torch.as_tensor(batch)
    if parameter is None:
        return tensor
    tensor_on_device = tensor.to(parameter.device)
    # Integers may be indices of an embedding, so they keep their dtype.
    return tensor_on_device.to(parameter.dtype) if tensor_on_device.is_floating_point() else tensor_on_device


def _read_features(out: object, count: int, name: str) -> Array:
    if not (isinstance(out, np.ndarray) or is_torch(out)):
        problem = f"must return an array or a tensor (n, d), got {type(out).__name__}"
        raise InputError("features", problem, "return one of them")
    shape = tuple(out.shape)
    if not shape or shape[0] != count or 0 in shape:
        problem = f"must return one row per row, got shape {shape} for {count} rows of {name}"
        raise InputError("features", problem, "return shape (n, d)")
    return read(out, "features").values.reshape(count, -1)
