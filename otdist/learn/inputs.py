"""Points and weights as batches of tensors, judged once; a common scale."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from otdist.errors import InputError


@dataclass(frozen=True, eq=False)
class Clouds:
    """Points (B, n, d), (B, m, d) and weights (B, n), (B, m), all on one device in one dtype."""

    x: Tensor
    y: Tensor
    a: Tensor
    b: Tensor
    batched: bool

    def unbatched(self, values: Tensor) -> Tensor:
        """Drop the batch axis if the caller had none."""
        return values if self.batched else values[0]


@dataclass(frozen=True, eq=False)
class Scale:
    """Power of two that brings distances close to 1, without rounding; a constant of the gradient.

    Points are not shifted: only their differences are used, and a shift would round them.

    Attributes
    ----------
    exponent : Tensor, shape (B, 1)
        Power of two, integer.
    p : float
        Order of the cost.
    """

    exponent: Tensor
    p: float

    @classmethod
    def of(cls, x: Tensor, y: Tensor, p: float) -> Scale:
        """Scale of two detached clouds."""
        far = torch.maximum((x - x[:, :1]).abs().amax((1, 2)), (y - x[:, :1]).abs().amax((1, 2)))
        return cls(torch.frexp(far)[1][:, None], p)

    def place(self, points: Tensor) -> Tensor:
        """Points on the scale; the gradient passes."""
        half = torch.div(-self.exponent, 2, rounding_mode="floor")[..., None]
        rest = -self.exponent[..., None] - half  # in two steps: 2**-exponent itself may overflow
        return points * torch.exp2(half.to(points.dtype)) * torch.exp2(rest.to(points.dtype))

    def cost(self, values: Tensor) -> Tensor:
        """Costs (B, ...) in the caller's units."""
        unit = torch.exp2(self.exponent.to(values.dtype) * self.p)
        return values * unit.reshape(-1, *[1] * (values.ndim - 1))

    def place_cost(self, value: Any, like: Tensor) -> Tensor:
        """Bring a cost in the caller's units, (B,) or a number, onto the scale: shape (B, 1)."""
        value = torch.as_tensor(value, dtype=like.dtype, device=like.device).detach().reshape(-1, 1)
        return value * torch.exp2(-self.exponent.to(like.dtype) * self.p)


def read_clouds(x: Any, y: Any, a: Any, b: Any, *, balanced: bool, whole: bool = True) -> Clouds:
    """Check what the caller passed; weights are normalised to mass 1 if ``balanced``.

    These are ``whole`` clouds, unless they are parts, which may lack mass.

    The values are looked at once, so that the host waits for the device once.
    """
    tensors = [t for t in (x, y, a, b) if isinstance(t, Tensor)]
    device = tensors[0].device if tensors else torch.device("cpu")
    dtype = torch.float32
    for t in tensors:
        if t.device != device:
            name = "xyab"[_index(t, (x, y, a, b))]
            raise InputError(name, f"is on {t.device}, others on {device}", "move it there by .to(device)")
        dtype = torch.promote_types(dtype, t.dtype) if t.is_floating_point() else dtype
    if not tensors:
        dtype = torch.float64
    xs, ys = (_points(v, name, device, dtype) for v, name in ((x, "x"), (y, "y")))
    batched = any(getattr(v, "ndim", 2) == 3 for v in (x, y))
    size = max(len(xs), len(ys))
    if xs.shape[-1] != ys.shape[-1]:
        raise InputError("y", f"has {ys.shape[-1]} columns, x {xs.shape[-1]}", "give both the same columns")
    if {len(xs), len(ys)} - {1, size}:
        raise InputError("y", f"is a batch of {len(ys)}, x of {len(xs)}", "give both the same batch size")
    xs, ys = (v.expand(size, -1, -1) for v in (xs, ys))
    as_, bs = (_weights(w, v, name) for w, v, name in ((a, xs, "a"), (b, ys, "b")))
    _judge(whole, x=xs, y=ys, a=as_, b=bs)
    if balanced:
        as_, bs = as_ / as_.sum(-1, keepdim=True), bs / bs.sum(-1, keepdim=True)
    return Clouds(xs, ys, as_, bs, batched)


def _index(t: Tensor, among: tuple[Any, ...]) -> int:
    return next(k for k, other in enumerate(among) if other is t)


def _points(values: Any, name: str, device: torch.device, dtype: torch.dtype) -> Tensor:
    points = torch.as_tensor(values, device=device).to(dtype)
    if points.ndim == 1:
        points = points[:, None]
    if points.ndim == 2:
        points = points[None]
    if points.ndim != 3 or points.shape[1] == 0 or points.shape[2] == 0:
        shape = tuple(getattr(values, "shape", points.shape))
        raise InputError(name, f"has shape {shape}", "pass points of shape (n, d) or (B, n, d)")
    return points


def _weights(values: Any, points: Tensor, name: str) -> Tensor:
    size, n = points.shape[:2]
    if values is None:
        return points.new_full((size, n), 1.0 / n)
    weights = torch.as_tensor(values, device=points.device).to(points.dtype)
    if weights.shape not in ((n,), (1, n), (size, n)):
        raise InputError(name, f"has shape {tuple(weights.shape)} for {n} points", "give a weight per point")
    return weights.expand(size, n)


def _judge(whole: bool, **values: Tensor) -> None:
    """Raise for the first value that is not finite, and for weights that are no masses."""
    good = {name: torch.isfinite(v) & ((v >= 0) if name in "ab" else True) for name, v in values.items()}
    massive = [(values[name].sum(-1) > 0).all() | (not whole) for name in "ab"]
    if bool(torch.stack([g.all() for g in good.values()] + massive).all()):
        return
    for name, g in good.items():
        bad = torch.nonzero(~g)
        if len(bad):
            where = tuple(bad[0].tolist())
            found = values[name][where].item()
            raise InputError(
                name, f"entry {where} (problem, point, ...) is {found}", "drop or repair it before the call"
            )
    name = "ab"[0 if not bool(massive[0]) else 1]
    raise InputError(name, "has no mass in one of the problems", "give at least one weight above 0")
