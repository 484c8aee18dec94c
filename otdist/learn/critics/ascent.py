"""Adam for critics: a scale for each coordinate of points, one for the whole of an orthogonal matrix."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from otdist.learn.critics.orthogonal import Orthogonal

FIRST, SECOND = 0.9, 0.999
TINY = 1e-12
NOISE = 1e-5  # what a sum over a batch leaves in float32, and more
FARTHEST = 0.5  # Frobenius norm of a step of an orthogonal matrix: its singular values stay below sqrt(3)


class Ascent(torch.optim.Optimizer):
    """Adam whose second moment is one number for a whole orthogonal matrix.

    Coordinates of an orthogonal matrix are not parameters of their own: to scale each by its own gradient
    turns the step away from the tangent space, and the retraction undoes it. A unit that folds no point of a
    batch adds its bias to all values alike, so that the bias has gradient 0 but for rounding: it does not
    move, where Adam would make a full step of the rounding.

    Parameters
    ----------
    module : Module
        The critic; weights of :class:`~otdist.learn.critics.Orthogonal` count as matrices.
    rate : float
        Size of a step, in units of the points.
    """

    def __init__(self, module: torch.nn.Module, rate: float) -> None:
        matrices = list(module.weights) if isinstance(module, Orthogonal) else []
        known = {id(p) for p in matrices}
        rest = [p for p in module.parameters() if id(p) not in known]
        tiny = NOISE if matrices else TINY
        groups = [
            {"params": rest, "matrix": False, "tiny": tiny},
            {"params": matrices, "matrix": True, "tiny": TINY},
        ]
        super().__init__([group for group in groups if group["params"]], {"lr": rate})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:
        """Move all parameters against their gradient."""
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    self._move(p, p.grad, group)

    def _move(self, p: Tensor, grad: Tensor, group: dict[str, Any]) -> None:
        rate, matrix = group["lr"], group["matrix"]
        state: dict[str, Any] = self.state[p]
        if not state:
            size = torch.zeros((), device=p.device, dtype=p.dtype) if matrix else torch.zeros_like(p)
            state.update(count=0, mean=torch.zeros_like(p), square=size)
        state["count"] += 1
        state["mean"].lerp_(grad, 1 - FIRST)
        state["square"].lerp_(grad.square().mean() if matrix else grad.square(), 1 - SECOND)
        first, second = 1 - FIRST ** state["count"], 1 - SECOND ** state["count"]
        scale = (state["square"] / second).sqrt_().add_(group["tiny"])
        move = state["mean"] / scale * (rate / first)
        if matrix:
            move *= FARTHEST / move.norm().clamp_min(FARTHEST)
        p.sub_(move)
