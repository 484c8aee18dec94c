"""Many distances on the line in one call."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from otdist.arrays import caller_level, is_torch, read
from otdist.bounds import staircase
from otdist.clouds import NanPolicy
from otdist.errors import InputError, PrecisionWarning
from otdist.gradient import on_cpu, on_device
from otdist.problem import BEYOND, check_order, check_policy, far_exponent
from otdist.solvers.line import line_cost, sorted_order
from otdist.weights import masses

Array = NDArray[np.float64]


def wasserstein_1d(
    x: ArrayLike,
    y: ArrayLike,
    a: ArrayLike | None = None,
    b: ArrayLike | None = None,
    *,
    p: float = 1,
    axis: int = -1,
    nan_policy: NanPolicy = "raise",
) -> Any:
    r"""Wasserstein-p distances on the line, for many pairs of samples at once.

    .. math:: W_p(x, y) = \Bigl( \int_0^1 |F_x^{-1}(u) - F_y^{-1}(u)|^p \, du \Bigr)^{1/p}

    Parameters
    ----------
    x : array_like, shape (..., n)
        Samples along ``axis``; the other axes number the pairs.
    y : array_like, shape (..., m)
        Samples to compare with; the other axes broadcast against those of ``x``.
    a, b : array_like, shape (..., n) and (..., m), optional
        Non-negative weights, broadcast like ``x`` and ``y``, each sample divided by its sum.
        None: all equal.
    p : float
        At least 1. The answer is a distance: rooted, unlike POT's function of this name.
    axis : int
        Axis of the samples, in all arguments.
    nan_policy : {"raise", "omit", "propagate"}
        Missing values: an error, left out of their sample, or a distance of NaN.

    Returns
    -------
    float, ndarray or tensor, shape (...)
        Distances in the units of x, exact up to rounding. A tensor with gradient with respect
        to the points if torch tensors went in.

    Raises
    ------
    InputError
        If shapes do not broadcast, a value is infinite, or a weight cannot be used.

    Notes
    -----
    Cost: O((n + m) log(n + m)) time for each pair; memory for all pairs at once. Source:
    Santambrogio (2015), *Optimal Transport for Applied Mathematicians*, proposition 2.17.

    Examples
    --------
    >>> import otdist
    >>> otdist.wasserstein_1d([[0.0, 1.0], [0.0, 9.0]], [5.0, 6.0])
    array([5., 4.])
    """
    check_order(p)
    check_policy(nan_policy)
    xs, ys = _samples(x, "x", axis), _samples(y, "y", axis)
    batch = _batch(xs, ys)
    _no_gradient(a, "a")
    _no_gradient(b, "b")
    wx, wy = _weights(a, "a", xs, axis), _weights(b, "b", ys, axis)
    gone: Any = False
    far = 0
    with np.errstate(over="ignore", invalid="ignore"):
        samples, law, (cost, exponent) = _solved(xs, ys, wx, wy, batch, p)
    if not np.isfinite(cost).all():
        # Only now is a look at the values worth its passes over memory: one is missing,
        # infinite, or too large for differences.
        xs, wx, gone_x = _complete(xs, wx, "x", nan_policy)
        ys, wy, gone_y = _complete(ys, wy, "y", nan_policy)
        gone = gone_x | gone_y
        far = far_exponent(np.minimum(xs.min(), ys.min()), np.maximum(xs.max(), ys.max()))
        samples, law, (cost, exponent) = _solved(np.ldexp(xs, -far), np.ldexp(ys, -far), wx, wy, batch, p)
    distance = cost if p == 1 else cost ** (1.0 / p)
    distance = np.where(gone, np.nan, _unscaled(distance, exponent + far))
    if is_torch(x) or is_torch(y):
        return _tensor(distance, (x, y), samples, law, p, axis)
    return float(distance) if distance.ndim == 0 else distance


def _unscaled(distance: Array, exponent: Any) -> Array:
    with np.errstate(over="ignore"):
        answer = np.asarray(np.ldexp(distance, exponent))
    if np.isinf(answer).any():
        warnings.warn(BEYOND, PrecisionWarning, stacklevel=caller_level())
    return answer


def _solved(
    xs: Array, ys: Array, a: Array | None, b: Array | None, batch: tuple[int, ...], p: float
) -> tuple[tuple[Array, Array], tuple[Array, Array, float], tuple[Array, Any]]:
    """Samples and masses brought to the shape of the batch, and their costs at mass 1."""
    xs, ys = np.broadcast_to(xs, (*batch, xs.shape[-1])), np.broadcast_to(ys, (*batch, ys.shape[-1]))
    left, right, total = _masses(a, b, xs, ys)
    cost, exponent = line_cost(xs, ys, left, right, p)
    return (xs, ys), (left, right, total), (cost / total, exponent)


def _batch(xs: Array, ys: Array) -> tuple[int, ...]:
    try:
        return np.broadcast_shapes(xs.shape[:-1], ys.shape[:-1])
    except ValueError:
        raise InputError(
            "y",
            f"has batch shape {ys.shape[:-1]}, x has {xs.shape[:-1]}",
            "give one sample of y for each of x",
        ) from None


def _samples(values: Any, name: str, axis: int) -> Array:
    array = read(values, name).values
    if array.ndim == 0 or not -array.ndim <= axis < array.ndim:
        raise InputError(name, f"has shape {array.shape}, no axis {axis}", "give samples along an axis")
    if array.size == 0:
        raise InputError(name, f"is empty (shape {array.shape})", "give at least one value")
    return np.ascontiguousarray(np.moveaxis(array, axis, -1))


def _weights(values: Any, name: str, samples: Array, axis: int) -> Array | None:
    if values is None:
        return None
    w = _samples(values, name, axis if np.ndim(values) > 1 else -1)
    try:
        if w.shape[-1] != samples.shape[-1]:
            raise ValueError
        w = np.broadcast_to(w, samples.shape)
    except ValueError:
        raise InputError(
            name, f"has shape {w.shape} for samples of shape {samples.shape}", "give one weight a value"
        ) from None
    bad = ~(w >= 0) | np.isinf(w)
    if bad.any():
        where = tuple(int(k) for k in np.argwhere(bad)[0])
        raise InputError(name, f"weight {where} is {w[where]}", "weights must be finite and non-negative")
    _some_mass(w, name)
    return w


def _no_gradient(weights: Any, name: str) -> None:
    if is_torch(weights) and weights.requires_grad:
        raise InputError(
            name, "requires a gradient, which a batch has not", "call otdist.w1 pair by pair, or detach it"
        )


def _some_mass(w: Array, name: str) -> None:
    empty = ~w.any(axis=-1)
    if empty.any():
        where = tuple(int(k) for k in np.argwhere(empty)[0])
        raise InputError(name, f"sample {where} has no mass", "give at least one value a positive weight")


def _complete(
    samples: Array, weights: Array | None, name: str, nan_policy: NanPolicy
) -> tuple[Array, Array | None, NDArray[np.bool_]]:
    """Give missing values the weight 0 and some place; say which samples become NaN."""
    if weights is not None:
        samples = np.where(weights > 0, samples, 0.0)  # a value without mass may be anything
    if np.isinf(samples).any():
        where = tuple(int(k) for k in np.argwhere(np.isinf(samples))[0])
        raise InputError(
            name, f"entry {where} is infinite", "use otdist.w1 pair by pair, which allows infinity"
        )
    missing = np.isnan(samples)
    none = np.zeros(samples.shape[:-1], dtype=bool)
    if not missing.any():
        return samples, weights, none
    if nan_policy == "raise":
        where = tuple(int(k) for k in np.argwhere(missing)[0])
        raise InputError(
            name, f"{missing.sum()} values are missing (NaN), the first at {where}", "use nan_policy='omit'"
        )
    places = np.where(missing, 0.0, samples)
    if nan_policy == "propagate":
        return places, weights, np.asarray(missing.any(axis=-1))
    weights = np.where(missing, 0.0, 1.0 if weights is None else weights)
    _some_mass(weights, name)
    return places, weights, none


def _masses(a: Array | None, b: Array | None, x: Array, y: Array) -> tuple[Array, Array, float]:
    if a is None and b is None:
        left, right, total = masses(None, None, x.shape[-1], y.shape[-1])[:3]
    else:
        left, right, total = _shares(a, x.shape[-1]), _shares(b, y.shape[-1]), 1.0
    return np.broadcast_to(left, x.shape), np.broadcast_to(right, y.shape), total


def _shares(w: Array | None, n: int) -> Array:
    if w is None:
        return np.asarray(1.0 / n)
    scaled = w / w.max(axis=-1, keepdims=True)
    return np.asarray(scaled / np.sort(scaled, axis=-1).sum(axis=-1, keepdims=True))


def _tensor(
    distance: Array,
    given: tuple[Any, Any],
    samples: tuple[Array, Array],
    law: tuple[Array, Array, float],
    p: float,
    axis: int,
) -> Any:
    """Distances as a tensor, with the gradient along the optimal matching."""
    import torch

    device = next(t for t in given if is_torch(t)).device
    value = torch.as_tensor(distance, dtype=torch.float64)
    if not any(is_torch(t) and t.requires_grad for t in given):
        return on_device(value, device)
    (xs, ys), (a, b, total) = samples, law
    order_x, order_y = sorted_order(xs, a), sorted_order(ys, b)
    i, j, mass = staircase(np.take_along_axis(a, order_x, -1), np.take_along_axis(b, order_y, -1))
    cells = np.take_along_axis(order_x, i, -1), np.take_along_axis(order_y, j, -1)
    moved = [on_cpu(torch.as_tensor(t)).movedim(axis, -1) for t in given]
    ends = [
        t.expand(*distance.shape, t.shape[-1]).gather(-1, torch.as_tensor(c))
        for t, c in zip(moved, cells, strict=True)
    ]
    # abs has gradient 0 at 0 in torch, which is the choice at coincident points.
    cost = (torch.as_tensor(mass / total) * (ends[0] - ends[1]).abs() ** p).sum(-1)
    slope = torch.where(value > 0, value ** (1 - p) / p, torch.zeros_like(value))
    return on_device(value + slope * (cost - cost.detach()), device)
