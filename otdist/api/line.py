"""Wasserstein distances on the line, for many pairs of samples in one call."""

from __future__ import annotations

import sys
import warnings
from typing import TYPE_CHECKING, overload

import numpy as np

from otdist.bounds import staircase
from otdist.errors import InputError, Option, PrecisionWarning, Remedy
from otdist.gradient import guard_tensors, on_cpu, on_device
from otdist.inputs.arguments import check_axis, check_order, check_policy
from otdist.inputs.arrays import caller_level, is_torch, read
from otdist.inputs.labels import match_labels
from otdist.inputs.line_batches import along_axis, read_batches, sample_labels
from otdist.inputs.weights import make_masses, plain_weights
from otdist.metrics.differentiable import absolute_power
from otdist.problem import DISTANCE_OVERFLOW, far_exponent
from otdist.runtime.errstate import isolate_errstate
from otdist.solvers.line import levels_are_harmless, line_cost, sorted_order, weighted_line_cost
from otdist.typing import Array, ArrayInput, ArrayOrTensor, Integers, Labels, Mask, NanPolicy

if TYPE_CHECKING:
    from torch import Tensor

    from otdist.typing import TensorInput


@overload
def wasserstein_1d(
    x: TensorInput,
    y: ArrayInput,
    a: ArrayInput | None = None,
    b: ArrayInput | None = None,
    *,
    p: float = 1,
    axis: int = -1,
    nan_policy: NanPolicy = "raise",
) -> Tensor: ...
@overload
def wasserstein_1d(
    x: ArrayInput,
    y: TensorInput,
    a: ArrayInput | None = None,
    b: ArrayInput | None = None,
    *,
    p: float = 1,
    axis: int = -1,
    nan_policy: NanPolicy = "raise",
) -> Tensor: ...
@overload
def wasserstein_1d(
    x: ArrayInput,
    y: ArrayInput,
    a: ArrayInput | None = None,
    b: ArrayInput | None = None,
    *,
    p: float = 1,
    axis: int = -1,
    nan_policy: NanPolicy = "raise",
) -> float | Array: ...
@guard_tensors
@isolate_errstate
def wasserstein_1d(
    x: ArrayInput,
    y: ArrayInput,
    a: ArrayInput | None = None,
    b: ArrayInput | None = None,
    *,
    p: float = 1,
    axis: int = -1,
    nan_policy: NanPolicy = "raise",
) -> float | ArrayOrTensor:
    r"""Wasserstein-p distances on the line, for many pairs of samples at once.

    .. math:: W_p(x, y) = \Bigl( \int_0^1 |F_x^{-1}(u) - F_y^{-1}(u)|^p \, du \Bigr)^{1/p}

    Parameters
    ----------
    x : array_like, shape (..., n)
        Samples along ``axis``; the other axes number the pairs.
    y : array_like, shape (..., m)
        Samples to compare with; the other axes broadcast against those of ``x``. Pairs of two
        pandas tables are matched by label.
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
        Distances in the units of x, for times in seconds, exact up to rounding. A tensor with first and
        second derivatives with respect to the points if torch tensors went in. Matched points that
        coincide add 0 to the gradient, and second derivatives are refused there for 1 < p < 2.

    Raises
    ------
    InputError
        If shapes do not broadcast, a value is infinite, or a weight cannot be used.

    Notes
    -----
    Cost: O((n + m) log(n + m)) time for each pair; memory for all pairs at once. Cumulated weights are
    compared in twice the precision, unless p = 1 and their rounding is below 1e-8 of the distance. Source:
    Santambrogio (2015), *Optimal Transport for Applied Mathematicians*, proposition 2.17.

    Examples
    --------
    >>> import otdist
    >>> otdist.wasserstein_1d([[0.0, 1.0], [0.0, 9.0]], [5.0, 6.0])
    array([5., 4.])
    """
    p, axis = check_order(p), check_axis(axis)
    check_policy(nan_policy)
    _refuse_gradient(a, "a")
    _refuse_gradient(b, "b")
    pair = read_batches(x, y, axis)
    xs, ys = pair.x, pair.y
    batch = _batch(xs, ys)
    a, b = plain_weights(a, b)
    wx, wy = _weights(a, "a", xs, axis, pair.labels[0]), _weights(b, "b", ys, axis, pair.labels[1])
    absent: Mask | bool = False
    far = 0
    with np.errstate(over="ignore", invalid="ignore"):
        samples, masses_of_batch, (cost, exponent) = _solve_batch(xs, ys, wx, wy, batch, p)
    if not np.isfinite(cost).all():
        # The values are checked only now, as passes over memory take time: one is missing, infinite, or too
        # large for differences.
        xs, wx, gone_x = _fill_missing(xs, wx, "x", nan_policy)
        ys, wy, gone_y = _fill_missing(ys, wy, "y", nan_policy)
        absent = gone_x | gone_y
        far = far_exponent(np.minimum(xs.min(), ys.min()), np.maximum(xs.max(), ys.max()))
        samples, masses_of_batch, (cost, exponent) = _solve_batch(
            np.ldexp(xs, -far), np.ldexp(ys, -far), wx, wy, batch, p
        )
    distance = cost if p == 1 else cost ** (1.0 / p)
    distance = pair.conversion.rescale(np.where(absent, np.nan, _unscale(distance, exponent + far)), 1)
    if is_torch(x) or is_torch(y):
        return _tensor(distance, (x, y), samples, masses_of_batch, p, axis, far)
    return float(distance) if distance.ndim == 0 else distance


def _unscale(distance: Array, exponent: Integers | int) -> Array:
    with np.errstate(over="ignore"):
        answer = np.asarray(np.ldexp(distance, exponent))
    if np.isinf(answer).any():
        warnings.warn(DISTANCE_OVERFLOW, PrecisionWarning, stacklevel=caller_level())
    return answer


def _solve_batch(
    xs: Array, ys: Array, a: Array | None, b: Array | None, batch: tuple[int, ...], p: float
) -> tuple[tuple[Array, Array], tuple[Array, Array, float], tuple[Array, Integers | int]]:
    """Broadcast samples and masses to the shape of the batch, and compute their costs at mass 1."""
    xs, ys = np.broadcast_to(xs, (*batch, xs.shape[-1])), np.broadcast_to(ys, (*batch, ys.shape[-1]))
    left, right, total = _masses(a, b, xs, ys)
    if (a is None and b is None) or (p == 1 and xs.ndim == 1):
        cost, exponent = line_cost(xs, ys, left, right, p)
        if (a is None and b is None) or levels_are_harmless(xs, ys, float(cost)):
            return (xs, ys), (left, right, total), (cost / total, exponent)
    a, b = (np.broadcast_to(1.0 if w is None else w, z.shape) for w, z in ((a, xs), (b, ys)))
    return (xs, ys), (left, right, total), weighted_line_cost(xs, ys, a, b, p)


def _batch(xs: Array, ys: Array) -> tuple[int, ...]:
    try:
        return np.broadcast_shapes(xs.shape[:-1], ys.shape[:-1])
    except ValueError:
        raise InputError(
            "y",
            f"must have batch shape {xs.shape[:-1]} like x, got {ys.shape[:-1]}",
            "give one sample of y for each of x",
        ) from None


def _weights(values: object, name: str, samples: Array, axis: int, labels: Labels) -> Array | None:
    if values is None:
        return None
    table = read(values, name)
    along = axis if table.values.ndim > 1 else -1
    w = along_axis(table, table.values, name, along)
    order = match_labels(sample_labels(table, along), labels, name, {"a": "x", "b": "y"}[name])
    w = w if order is None else w[..., order]
    try:
        if w.shape[-1] != samples.shape[-1]:
            raise ValueError
        w = np.broadcast_to(w, samples.shape)
    except ValueError:
        raise InputError(
            name,
            f"must have one weight a value, got shape {w.shape} for samples of shape {samples.shape}",
            "give such weights",
        ) from None
    bad = ~(w >= 0) | np.isinf(w)
    if bad.any():
        where = tuple(int(k) for k in np.argwhere(bad)[0])
        problem = f"must be finite and >= 0, got {w[where]} at {where}"
        raise InputError(name, problem, "drop the value, or give it weight 0")
    _require_mass(w, name)
    return w


def _refuse_gradient(weights: object, name: str) -> None:
    if is_torch(weights) and weights.requires_grad and sys.modules["torch"].is_grad_enabled():
        raise InputError(
            name, "must not require a gradient in a batch", "call otdist.w1 pair by pair, or detach it"
        )


def _require_mass(w: Array, name: str) -> None:
    empty = ~w.any(axis=-1)
    if empty.any():
        where = tuple(int(k) for k in np.argwhere(empty)[0])
        raise InputError(name, f"sample {where} has no mass", "give at least one value a positive weight")


def _fill_missing(
    samples: Array, weights: Array | None, name: str, nan_policy: NanPolicy
) -> tuple[Array, Array | None, Mask]:
    """Give missing values the weight 0 and the position 0; returns which samples become NaN."""
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
            name,
            f"{missing.sum()} values are missing (NaN), the first at {where}",
            Remedy("use {}", Option("nan_policy", "'omit'", "omit")),
        )
    places = np.where(missing, 0.0, samples)
    if nan_policy == "propagate":
        return places, weights, np.asarray(missing.any(axis=-1))
    weights = np.where(missing, 0.0, 1.0 if weights is None else weights)
    _require_mass(weights, name)
    return places, weights, none


def _masses(a: Array | None, b: Array | None, x: Array, y: Array) -> tuple[Array, Array, float]:
    if a is None and b is None:
        left, right, total = make_masses(None, None, x.shape[-1], y.shape[-1])[:3]
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
    inputs: tuple[object, object],
    samples: tuple[Array, Array],
    masses_of_batch: tuple[Array, Array, float],
    p: float,
    axis: int,
    far: int,
) -> ArrayOrTensor:
    """Convert distances to a tensor, with the gradient along the optimal coupling."""
    import torch

    device = next(t for t in inputs if is_torch(t)).device
    value = torch.as_tensor(distance, dtype=torch.float64)
    needs_gradient = any(is_torch(t) and t.requires_grad for t in inputs)
    if not needs_gradient or not torch.is_grad_enabled():
        return on_device(value, device)
    (xs, ys), (a, b, total) = samples, masses_of_batch
    order_x, order_y = sorted_order(xs, a), sorted_order(ys, b)
    i, j, mass = staircase(np.take_along_axis(a, order_x, -1), np.take_along_axis(b, order_y, -1))
    cells = np.take_along_axis(order_x, i, -1), np.take_along_axis(order_y, j, -1)
    ends = []
    for t, points, index in zip(inputs, samples, cells, strict=True):
        if is_torch(t) and t.requires_grad:
            points_of_tensor = on_cpu(t).movedim(axis, -1) * 2.0**-far
            points_of_tensor = torch.where(
                torch.isfinite(points_of_tensor), points_of_tensor, 0.0
            )  # missing values have no mass
            end = points_of_tensor.expand(*distance.shape, points_of_tensor.shape[-1]).gather(
                -1, torch.from_numpy(index)
            )
        else:  # the points that were read, not the caller's container, which may have any type
            end = torch.from_numpy(np.take_along_axis(points, index, -1))
        ends.append(end)
    # Gaps relative to the distance, so that no power of one over- or underflows.
    apart = value > 0
    unit = torch.where(apart, value * 2.0**-far, 1.0)
    shares = torch.from_numpy(mass / total)
    gaps = torch.where(shares > 0, (ends[0] - ends[1]) / unit[..., None], 1.0)
    cost = (shares * absolute_power(torch, gaps, p, f"a distance with p={p:g}")).sum(-1)
    # Relative to the distance the cost is 1; a distance of 0 is a kink.
    value = value * (1 + torch.where(apart, cost - cost.detach(), 0.0)) ** (1.0 / p)
    return on_device(value, device)
