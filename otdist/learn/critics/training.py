"""Training of one critic: steps, temperature, and the best state on validation points."""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from otdist.learn.critics.ascent import Ascent, steps_between_retractions
from otdist.learn.critics.families.orthogonal import Orthogonal
from otdist.learn.critics.families.penalised import Penalised
from otdist.learn.distributed import sum_over_processes

EVALUATION_ENTRIES = 2**22  # numbers per block in the evaluation of a critic
# Temperature at the end and at the start, in units of the spread of distances.
TAU_END = 0.008
TAU_START = 0.08


@dataclass(eq=False)
class Training:
    """A critic with its optimiser and its best state on the validation points.

    Attributes
    ----------
    name : str
        Kind of critic.
    module : Module
        Map from features (n, d) to values (n,). Its ``lipschitz()`` bounds the Lipschitz constant, its
        ``retract()`` restores the constraint after a step.
    rate : float
        Initial step size.
    precision : torch.dtype
        Precision of matrix products in training.
    parameters : list of Parameter
        Parameters of the module that are trained.
    """

    name: str
    module: nn.Module
    rate: float
    precision: torch.dtype = torch.float32
    steps: int = 0
    best: float = -math.inf
    best_state: dict[str, Tensor] = field(default_factory=dict)
    parameters: list[nn.Parameter] = field(init=False)
    optimiser: Ascent = field(init=False)

    def __post_init__(self) -> None:
        self.parameters = [p for p in self.module.parameters() if p.requires_grad]
        self.optimiser = Ascent(self.module, self.rate, self.precision)

    def step(self, z: Tensor, signs: Tensor, share: float, shared: bool) -> bool:
        """Take a step on a batch, at a share of the schedule; return False if values are not finite."""
        self._anneal(share)
        loss, gradients = self._differentiate(z, signs, shared)
        if not math.isfinite(float(loss)):
            return False
        self._move(gradients)
        self.module.retract()
        return True

    def take_steps(self, z: Tensor, signs: Tensor, steps: int, share: float, shared: bool) -> Tensor:
        """Take steps on one batch, and return whether all values were finite, shape ().

        The host does not wait for the device. Square orthogonal matrices are retracted after the last step,
        and every :func:`~otdist.learn.critics.ascent.steps_between_retractions` before.
        """
        self._anneal(share)
        period = steps_between_retractions(self.optimiser)
        losses: list[Tensor] = []
        for step in range(1, steps + 1):
            loss, gradients = self._differentiate(z, signs, shared)
            losses.append(loss)
            self._move(gradients)
            if not isinstance(self.module, Orthogonal) or step % period == 0 or step == steps:
                self.module.retract()
            else:
                self.module.retract_rectangular()
        return torch.isfinite(torch.stack(losses)).all()

    def _differentiate(self, z: Tensor, signs: Tensor, shared: bool) -> tuple[Tensor, list[Tensor | None]]:
        """Return the loss and its gradients, summed over processes if they are shared."""
        self.module.train()
        with torch.autocast(z.device.type, self.precision, enabled=self.precision != torch.float32):
            values = self.module(z)
        loss = -(values.float() @ signs)
        if isinstance(self.module, Penalised):
            penalty = self.module.penalty(z)
            # Gradients are summed over processes, so each counts its share of the batch.
            loss = loss if penalty is None else loss + penalty * signs.abs().sum() / 2
        # Not backward(): it would write .grad, which optimisers and hooks of the caller read.
        gradients = list(torch.autograd.grad(loss, self.parameters, allow_unused=True))
        loss = loss.detach()
        if shared:  # the loss as well: all processes stop if values of one are not finite
            sum_over_processes([loss, *gradients])
        return loss, gradients

    def _move(self, gradients: list[Tensor | None]) -> None:
        """Let the optimiser take a step, without leaving gradients behind."""
        for p, gradient in zip(self.parameters, gradients, strict=True):
            p.grad = gradient
        self.optimiser.step()
        self.optimiser.zero_grad(set_to_none=True)
        self.steps += 1

    def keep_if_better(self, score: float) -> bool:
        """Store the current state if its score is the best so far, and return True then."""
        if not score > self.best:
            return False
        self.best = score
        self.best_state = copy.deepcopy(self.module.state_dict())
        self.best_tau: float | None = getattr(self.module, "tau", None)
        return True

    def restore(self) -> None:
        """Restore the best state."""
        if self.best_state:
            self.module.load_state_dict(self.best_state)
            if self.best_tau is not None:
                self.module.tau = self.best_tau

    def _anneal(self, share: float) -> None:
        rate = self.rate * (1 + math.cos(math.pi * min(share, 1.0))) / 2
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        if hasattr(self.module, "tau"):
            self.module.tau = TAU_START * (TAU_END / TAU_START) ** min(share, 1.0)


def divisor(module: nn.Module) -> float:
    """Return the divisor of the values: the Lipschitz constant, or 1 for "gp", "lp" and "clip"."""
    return max(float(module.lipschitz()), 1.0) if getattr(module, "is_certified", True) else 1.0


def entries_per_point(module: nn.Module, d: int) -> int:
    """Return an upper bound of the numbers that a module computes per point."""
    return max([d] + [math.prod(p.shape[:-1]) if p.ndim > 1 else len(p) for p in module.parameters()])
