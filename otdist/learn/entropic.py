"""Entropic transport between two clouds of points: potentials by annealed, over-relaxed updates."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from otdist.learn.marginals import Marginals
from otdist.learn.relax import Relaxation
from otdist.learn.softmin import Passes

COOLING = 0.7  # factor of eps from one sweep to the next, down from the mean cost
EVERY = 10  # sweeps between two checks: only there may the host wait for the device


@dataclass(frozen=True, eq=False)
class Task:
    """One or more entropic problems, ready for the loop.

    Attributes
    ----------
    passes : Passes
        Soft minima over the pairs of points.
    a, b : Tensor, shape (B, n), (B, m)
        Weights.
    eps : Tensor, shape (B, 1)
        Regularisation, in units of the cost.
    start : Tensor, shape (B, 1)
        The eps to cool down from.
    marginals : Marginals
        What a change of the marginals costs.
    """

    passes: Passes
    a: Tensor
    b: Tensor
    eps: Tensor
    start: Tensor
    marginals: Marginals


@dataclass(frozen=True, eq=False)
class Potentials:
    """What the loop ends with, for each problem of the batch.

    Attributes
    ----------
    f, g : Tensor, shape (B, n), (B, m)
        Potentials.
    dual : Tensor, shape (B,)
        Value of the dual at f and g: at most the optimum, whether or not they have converged.
    residual : Tensor, shape (B,)
        L1 error of the marginals.
    sweeps : Tensor, shape (B,)
        Updates of both potentials.
    """

    f: Tensor
    g: Tensor
    dual: Tensor
    residual: Tensor
    sweeps: Tensor


@torch.no_grad()
def solve(task: Task, n_iter: int, tol: float | None, guess: Tensor | None = None) -> Potentials:
    """Alternate ``f = T(g)`` and ``g = T(f)`` until the marginals are met to ``tol``.

    At most ``n_iter`` sweeps, and exactly as many where ``tol`` is None: the host then never waits for the
    device. The last sweep is not relaxed, so that the columns are met, and f is updated once more.

    ``guess`` is a potential g to go on from once eps has its final value, if its dual is the higher one. For
    near-equal clouds that is the potential of y against itself: little is left to do, where the
    sweeps that came down from a high eps would still be far.
    """
    passes, law = task.passes, task.marginals
    log_a, log_b = task.a.log(), task.b.log()
    f, g = torch.zeros_like(task.a), torch.zeros_like(task.b)
    done, sweeps = _counters(task)
    relax, column = Relaxation(_slack(task), task.eps.dtype), torch.zeros_like(task.eps)
    cooled = _cooling(task)
    for k in range(n_iter - 1):
        eps = _cooler(task, k, cooled)
        s = passes.rows(log_b + g / eps, eps)
        if k == cooled and guess is not None:
            f, g, s = _better(task, (f, g, s), guess)
        if k >= cooled and (k - cooled) % EVERY == 0:
            error = torch.maximum(_error(task, task.a, f, s), column)
            done = done | (error <= _goal(tol))
            if tol is not None and bool(done.all()):
                break
            f, g, s = relax.look((f, g, s), error, _dual(task, f, g, s), EVERY)
        f = torch.where(done, f, law.allowed(f + relax.omega * (law.update(s, eps) - f)))
        s = passes.cols(log_a + f / eps, eps)
        if (k + 1 - cooled) % EVERY == 0:
            column = _error(task, task.b, g, s)
        g = torch.where(done, g, law.allowed(g + relax.omega * (law.update(s, eps) - g)))
        sweeps = sweeps + ~done
    eps = task.eps
    f = law.update(passes.rows(log_b + g / eps, eps), eps)
    g = law.update(passes.cols(log_a + f / eps, eps), eps)
    s = passes.rows(log_b + g / eps, eps)
    residual = _error(task, task.a, f, s)
    f = law.update(s, eps)
    return Potentials(f, g, _dual(task, f, g, s)[:, 0], residual[:, 0], sweeps[:, 0] + 1)


@torch.no_grad()
def solve_symmetric(task: Task, n_iter: int, tol: float | None) -> Potentials:
    """Iterate ``f = (f + T(f)) / 2``, which at least halves the error, for a cloud against itself.

    The kernel exp(-c / eps) is positive for p = 1 and p = 2, so T contracts with a rate between -1 and 0
    (Feydy et al. 2019).
    """
    law, log_a = task.marginals, task.a.log()
    f = torch.zeros_like(task.a)
    done, sweeps = _counters(task)
    cooled = _cooling(task)
    for k in range(n_iter):
        eps = _cooler(task, k, cooled)
        s = task.passes.rows(log_a + f / eps, eps)
        if k >= cooled and (k - cooled) % EVERY == 0:
            done = done | (_error(task, task.a, f, s) <= _goal(tol))
            if tol is not None and bool(done.all()):
                break
        f = torch.where(done, f, (f + law.update(s, eps)) / 2)
        sweeps = sweeps + ~done
    s = task.passes.rows(log_a + f / task.eps, task.eps)
    # With the row marginals met the plan has its mass, and the dual is sharp, however early the loop ended.
    g, f = f, law.update(s, task.eps)
    residual = _error(task, task.a, g, task.passes.rows(log_a + f / task.eps, task.eps))
    return Potentials(f, g, _dual(task, f, g, s)[:, 0], residual[:, 0], sweeps[:, 0])


def _better(task: Task, state: tuple[Tensor, ...], guess: Tensor) -> tuple[Tensor, ...]:
    """Potentials f, g and the soft minimum for g of higher dual: those found, or those from a guess of g."""
    s = task.passes.rows(task.b.log() + guess / task.eps, task.eps)
    other = (task.marginals.update(s, task.eps), guess, s)
    higher = _dual(task, *other) > _dual(task, *state)
    return tuple(torch.where(higher, new, old) for new, old in zip(other, state, strict=True))


def total(values: Tensor) -> Tensor:
    """Sum over points, in float64 where the device has it."""
    wide = values.dtype if values.device.type == "mps" else torch.float64
    return values.sum(-1, keepdim=True, dtype=wide)


def _counters(task: Task) -> tuple[Tensor, Tensor]:
    zero = torch.zeros_like(task.eps)
    return zero.bool(), zero.long()


def _cooling(task: Task) -> int:
    """Sweeps until the slowest problem of the batch has its final eps."""
    ratio = float((task.start / task.eps).max())
    return max(0, math.ceil(math.log(ratio) / -math.log(COOLING))) if ratio > 1 else 0


def _cooler(task: Task, k: int, cooled: int) -> Tensor:
    return torch.maximum(task.eps, task.start * COOLING**k) if k < cooled else task.eps


def _goal(tol: float | None) -> float:
    # The plain sweep at the end must not miss the goal by a little.
    return -1.0 if tol is None else tol / 2


def _slack(task: Task) -> Tensor:
    return total(task.start * 16 * torch.finfo(task.eps.dtype).eps)


def _error(task: Task, weights: Tensor, f: Tensor, s: Tensor) -> Tensor:
    """L1 distance of one marginal from what the other potential would have it be, relative to the mass."""
    eps = task.eps
    missed = torch.exp((f - s) / eps) - torch.exp((task.marginals.update(s, eps) - s) / eps)
    return total(torch.where(weights > 0, weights * missed.abs(), 0.0)) / total(weights)


def _dual(task: Task, f: Tensor, g: Tensor, s: Tensor) -> Tensor:
    """Dual objective, where s is the soft minimum for g, so that the plan's mass needs no pass."""
    law = task.marginals
    mass = torch.where(task.a > 0, task.a * torch.exp((f - s) / task.eps), 0.0)
    gains = total(task.a * law.gain(f)) + total(task.b * law.gain(g))
    return gains - task.eps * (total(mass) - total(task.a) * total(task.b))
