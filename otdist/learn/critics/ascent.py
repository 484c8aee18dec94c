"""Adam for critics; orthogonal matrices are turned at one rate in all planes instead."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import torch
from torch import Tensor

from otdist.learn.critics.folds import Folds
from otdist.learn.critics.orthogonal import Orthogonal
from otdist.learn.critics.subspace import Subspace

FIRST, SECOND = 0.9, 0.999
TINY = 1e-12
NOISE = 1e-5  # what a sum over a batch leaves in float32, and more
TURNS = 4.0  # angle by which matrices are turned, in steps of the other parameters
WIDEST = 0.5  # of these angles: singular values stay below sqrt(3), from where a retraction converges
QUINTIC = (3.4445, -4.7750, 2.0315)  # takes singular values in (0, 1] to within 0.3 of 1, in few rounds
ROUNDS = 5


class Ascent(torch.optim.Optimizer):
    """Adam, but for orthogonal matrices, which are turned.

    The gradient of an orthogonal matrix is averaged over steps and projected to the tangent space, and all
    its singular values are set to about 1: planes that few points ask to be turned, or all of them faintly,
    are turned as fast as the others. With 64 tips in 16 columns, 1,500 steps then give the gradient a cosine
    of 0.88 with the true one, and 0.82 where it is scaled as a whole.

    A unit that folds no point of a batch adds its bias to all values alike, so that the bias has gradient 0
    but for rounding: it does not move, where Adam would make a full step of the rounding.

    Parameters
    ----------
    module : Module
        The critic; ``weights`` of :class:`~otdist.learn.critics.Orthogonal`,
        :class:`~otdist.learn.critics.Folds` and :class:`~otdist.learn.critics.Subspace` count as matrices.
    rate : float
        Size of a step, in units of the points; of matrices `TURNS` times as many radians.
    precision : torch.dtype
        In which the directions of turns are computed. In bfloat16 they depend on the last digits of
        gradients, which the order of sums decides.

    Notes
    -----
    Source: Jordan et al. (2024), *Muon*, for matrices without a constraint; differs in that the average is
    projected before, so that the retraction does not undo what is left of the step.
    """

    def __init__(self, module: torch.nn.Module, rate: float, precision: torch.dtype = torch.float32) -> None:
        matrices = list(module.weights) if isinstance(module, Orthogonal | Folds | Subspace) else []
        known = {id(p) for p in matrices}
        rest = [p for p in module.parameters() if id(p) not in known]
        tiny = NOISE if matrices else TINY
        groups = [
            {"params": rest, "matrix": False, "tiny": tiny},
            {"params": matrices, "matrix": True, "tiny": TINY},
        ]
        super().__init__([group for group in groups if group["params"]], {"lr": rate})
        self.precision = precision

    def __getstate__(self) -> dict[str, Any]:
        """What a copy has; the base class leaves attributes out that it does not know."""
        return super().__getstate__() | {"precision": self.precision}

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:
        """Move all parameters against their gradient."""
        for group in self.param_groups:
            move = self._turn if group["matrix"] else self._move
            for p in group["params"]:
                if p.grad is not None:
                    move(p, p.grad, group)

    def _move(self, p: Tensor, grad: Tensor, group: dict[str, Any]) -> None:
        state: dict[str, Any] = self.state[p]
        if not state:
            state.update(count=0, mean=torch.zeros_like(p), square=torch.zeros_like(p))
        state["count"] += 1
        state["mean"].lerp_(grad, 1 - FIRST)
        state["square"].lerp_(grad.square(), 1 - SECOND)
        first, second = 1 - FIRST ** state["count"], 1 - SECOND ** state["count"]
        scale = (state["square"] / second).sqrt_().add_(group["tiny"])
        p.sub_(state["mean"] / scale * (group["lr"] / first))

    def _turn(self, p: Tensor, grad: Tensor, group: dict[str, Any]) -> None:
        state: dict[str, Any] = self.state[p]
        if not state:
            state.update(mean=torch.zeros_like(p))
        state["mean"].lerp_(grad, 1 - FIRST)
        ahead = torch.lerp(grad, state["mean"], FIRST)  # Nesterov: where the mean will be after the next step
        p.sub_(levelled(tangent(p, ahead), self.precision), alpha=min(TURNS * group["lr"], WIDEST))


def tangent(p: Tensor, slope: Tensor) -> Tensor:
    """Part of a slope along which an orthogonal matrix stays orthogonal, to first order."""
    if p.shape[0] < p.shape[1]:
        return tangent(p.T, slope.T).T
    along = p.T @ slope
    return torch.addmm(slope, p, along + along.T, alpha=-0.5)


def levelled(matrix: Tensor, precision: torch.dtype = torch.float32) -> Tensor:
    """The matrix with singular values near 1 in the place of its own; 0 stays 0."""
    if matrix.shape[0] < matrix.shape[1]:
        return levelled(matrix.T, precision).T
    a, b, c = QUINTIC
    x = (matrix / matrix.norm().clamp_min(TINY)).to(precision)
    for _ in range(ROUNDS):
        square = x.T @ x
        x = torch.addmm(x, x, torch.addmm(square, square, square, beta=b, alpha=c), beta=a)
    return x.to(matrix.dtype)


@cache
def quick(device: torch.device) -> bool:
    """Whether products of bfloat16 are faster there than those of float32."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    # Without such instructions a processor converts, which takes longer. There is no public question for it.
    known = getattr(torch.cpu, "_is_avx512_bf16_supported", None)
    return device.type == "cpu" and known is not None and bool(known())
