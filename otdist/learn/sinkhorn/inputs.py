"""Points and weights as batches of tensors, checked once, and their common scale."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from otdist.errors import InputError
from otdist.learn.modes import refuse_transforms
from otdist.typing import ArrayInput


@dataclass(frozen=True, eq=False)
class Clouds:
    """Points (B, n, d), (B, m, d) and weights (B, n), (B, m), all on one device in one dtype."""

    x: Tensor
    y: Tensor
    a: Tensor
    b: Tensor
    batched: bool

    def remove_batch(self, values: Tensor) -> Tensor:
        """Remove the batch axis if the input had none."""
        return values if self.batched else values[0]


@dataclass(frozen=True, eq=False)
class Scale:
    """Scaling by a power of two that brings distances close to 1 exactly; a constant of the gradient.

    Points are not shifted, since only differences are used, and a shift would round them.

    Attributes
    ----------
    exponent : Tensor, shape (B, 1)
        Integer exponent of the power of two.
    p : float
        Order of the cost.
    """

    exponent: Tensor
    p: float

    @classmethod
    def of(cls, x: Tensor, y: Tensor, p: float) -> Scale:
        """Compute the scale of two detached clouds."""
        extent = torch.maximum((x - x[:, :1]).abs().amax((1, 2)), (y - x[:, :1]).abs().amax((1, 2)))
        return cls(torch.frexp(extent)[1][:, None], p)

    def transform(self, points: Tensor) -> Tensor:
        """Return scaled points, with gradient."""
        half_exponent = torch.div(-self.exponent, 2, rounding_mode="floor")[..., None]
        other_half = (
            -self.exponent[..., None] - half_exponent
        )  # in two steps: 2**-exponent itself may overflow
        return points * torch.exp2(half_exponent.to(points.dtype)) * torch.exp2(other_half.to(points.dtype))

    def to_cost_units(self, values: Tensor) -> Tensor:
        """Return costs (B, ...) in the caller's units."""
        unit = torch.exp2(self.exponent.to(values.dtype) * self.p)
        return values * unit.reshape(-1, *[1] * (values.ndim - 1))

    def from_cost_units(self, value: float | Tensor, like: Tensor) -> Tensor:
        """Scale a cost in the caller's units, (B,) or a number, to shape (B, 1)."""
        value = torch.as_tensor(value, dtype=like.dtype, device=like.device).detach().reshape(-1, 1)
        return value * torch.exp2(-self.exponent.to(like.dtype) * self.p)


def read_clouds(
    x: ArrayInput,
    y: ArrayInput,
    a: ArrayInput | None,
    b: ArrayInput | None,
    *,
    balanced: bool,
    complete: bool = True,
) -> Clouds:
    """Check points and weights; weights are normalised to mass 1 if ``balanced``.

    Clouds are ``complete``, unless they are parts, which may have no rows and no mass. The values are checked
    in one synchronisation with the device.
    """
    refuse_transforms(x=x, y=y, a=a, b=b)
    tensors = [t for t in (x, y, a, b) if isinstance(t, Tensor)]
    device = tensors[0].device if tensors else torch.device("cpu")
    dtype = torch.float32
    for t in tensors:
        if t.device != device:
            name = "xyab"[_index(t, (x, y, a, b))]
            raise InputError(name, f"must be on {device} like the others, got {t.device}", "use .to(device)")
        dtype = torch.promote_types(dtype, t.dtype) if t.is_floating_point() else dtype
    if not tensors:
        dtype = torch.float64
    min_points = 1 if complete else 0
    xs, ys = (_points(v, name, device, dtype, min_points) for v, name in ((x, "x"), (y, "y")))
    batched = any(getattr(v, "ndim", 2) == 3 for v in (x, y))
    size = max(len(xs), len(ys))
    if xs.shape[-1] != ys.shape[-1]:
        problem = f"must have {xs.shape[-1]} columns like x, got {ys.shape[-1]}"
        raise InputError("y", problem, "give both the same columns")
    if {len(xs), len(ys)} - {1, size}:
        problem = f"must have batch size {len(xs)} like x, got {len(ys)}"
        raise InputError("y", problem, "give both the same batch size")
    xs, ys = (v.expand(size, -1, -1) for v in (xs, ys))
    as_, bs = (_weights(w, v, name) for w, v, name in ((a, xs, "a"), (b, ys, "b")))
    _require_valid(complete, x=xs, y=ys, a=as_, b=bs)
    if balanced:
        as_, bs = as_ / as_.sum(-1, keepdim=True), bs / bs.sum(-1, keepdim=True)
    return Clouds(xs, ys, as_, bs, batched)


def _index(t: Tensor, among: tuple[object, ...]) -> int:
    return next(k for k, other in enumerate(among) if other is t)


def _points(
    values: ArrayInput, name: str, device: torch.device, dtype: torch.dtype, min_points: int
) -> Tensor:
    points = torch.as_tensor(values, device=device).to(dtype)
    if points.ndim == 1:
        points = points[:, None]
    if points.ndim == 2:
        points = points[None]
    if points.ndim != 3 or points.shape[1] < min_points or points.shape[2] == 0:
        shape = tuple(getattr(values, "shape", points.shape))
        raise InputError(name, f"must have shape (n, d) or (B, n, d), got {shape}", "pass such points")
    return points


def _weights(values: ArrayInput | None, points: Tensor, name: str) -> Tensor:
    size, n = points.shape[:2]
    if values is None:
        return points.new_full((size, n), 1.0 / max(n, 1))
    weights = torch.as_tensor(values, device=points.device).to(points.dtype)
    if weights.shape not in ((n,), (1, n), (size, n)):
        problem = f"must have one weight per point, got shape {tuple(weights.shape)} for {n} points"
        raise InputError(name, problem, "give a weight per point")
    return weights.expand(size, n)


def _require_valid(complete: bool, **values: Tensor) -> None:
    """Raise InputError for values that are not finite, and for weights that are negative or sum to 0."""
    is_valid = {name: torch.isfinite(v) & ((v >= 0) if name in "ab" else True) for name, v in values.items()}
    has_mass = [(values[name].sum(-1) > 0).all() | (not complete) for name in "ab"]
    if bool(torch.stack([g.all() for g in is_valid.values()] + has_mass).all()):
        return
    for name, g in is_valid.items():
        bad = torch.nonzero(~g)
        if len(bad):
            index = tuple(bad[0].tolist())
            value = values[name][index].item()
            condition = "finite and >= 0" if name in "ab" else "finite"
            raise InputError(
                name,
                f"must be {condition}, got {value} at {index} (problem, point, ...)",
                "drop or repair it before the call",
            )
    name = "ab"[0 if not bool(has_mass[0]) else 1]
    raise InputError(name, "must have mass in each problem", "give at least one weight above 0")
