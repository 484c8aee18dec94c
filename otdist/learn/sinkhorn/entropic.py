"""Entropic transport between clouds of points: potentials by annealed, over-relaxed updates."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from otdist.learn.sinkhorn.marginals import MarginalPenalty
from otdist.learn.sinkhorn.relax import Relaxation
from otdist.learn.sinkhorn.softmin import Softmin

SWEEP_EPS_DECAY = 0.7  # factor of eps per sweep, starting at the mean cost
CHECK_EVERY_SWEEPS = 10  # sweeps between two checks, which synchronise host and device


@dataclass(frozen=True, eq=False)
class EntropicBatch:
    """Batch of entropic problems, prepared for the iteration.

    Attributes
    ----------
    softmin : Softmin
        Soft minima over the pairs of points.
    a, b : Tensor, shape (B, n), (B, m)
        Weights.
    eps : Tensor, shape (B, 1)
        Regularisation, in units of the cost.
    initial_eps : Tensor, shape (B, 1)
        Initial eps of the annealing.
    marginals : MarginalPenalty
        Penalty of the marginals.
    """

    softmin: Softmin
    a: Tensor
    b: Tensor
    eps: Tensor
    initial_eps: Tensor
    marginals: MarginalPenalty


@dataclass(frozen=True, eq=False)
class Potentials:
    """Result of the iteration, for each problem of the batch.

    Attributes
    ----------
    f, g : Tensor, shape (B, n), (B, m)
        Potentials.
    dual : Tensor, shape (B,)
        Value of the dual at f and g, a lower bound of the optimum even before convergence.
    residual : Tensor, shape (B,)
        L1 error of the marginals.
    sweeps : Tensor, shape (B,)
        Number of sweeps, which update both potentials.
    """

    f: Tensor
    g: Tensor
    dual: Tensor
    residual: Tensor
    sweeps: Tensor


@torch.no_grad()
def solve(problem: EntropicBatch, n_iter: int, tol: float | None, guess: Tensor | None = None) -> Potentials:
    """Alternate ``f = T(g)`` and ``g = T(f)`` until the marginals are met to ``tol``.

    At most ``n_iter`` sweeps, and exactly as many if ``tol`` is None, without synchronisation of host and
    device. The last sweep is not relaxed, so that the column marginals are met, and f is updated once more.

    ``guess`` is a potential g that replaces the current one at the final eps if its dual is larger. For
    nearly equal clouds the potential of y against itself is close to the solution, while the sweeps at larger
    eps are not.
    """
    softmin, marginals = problem.softmin, problem.marginals
    log_a, log_b = problem.a.log(), problem.b.log()
    f, g = torch.zeros_like(problem.a), torch.zeros_like(problem.b)
    converged, sweeps = _initial_counters(problem)
    relaxation, column_error = (
        Relaxation(_dual_rounding_error(problem), problem.eps.dtype),
        torch.zeros_like(problem.eps),
    )
    n_annealing = _annealing_sweeps(problem)
    for k in range(n_iter - 1):
        eps = _annealed_eps(problem, k, n_annealing)
        s = softmin.rows(log_b + g / eps, eps)
        if k == n_annealing and guess is not None:
            f, g, s = _choose_start(problem, (f, g, s), guess)
        if k >= n_annealing and (k - n_annealing) % CHECK_EVERY_SWEEPS == 0:
            error = torch.maximum(_marginal_error(problem, problem.a, f, s), column_error)
            converged = converged | (error <= _target_error(tol))
            if tol is not None and bool(converged.all()):
                break
            f, g, s = relaxation.update((f, g, s), error, _dual_value(problem, f, g, s), CHECK_EVERY_SWEEPS)
        f = torch.where(converged, f, marginals.clamp(f + relaxation.omega * (marginals.update(s, eps) - f)))
        s = softmin.cols(log_a + f / eps, eps)
        if (k + 1 - n_annealing) % CHECK_EVERY_SWEEPS == 0:
            column_error = _marginal_error(problem, problem.b, g, s)
        g = torch.where(converged, g, marginals.clamp(g + relaxation.omega * (marginals.update(s, eps) - g)))
        sweeps = sweeps + ~converged
    eps = problem.eps
    f = marginals.update(softmin.rows(log_b + g / eps, eps), eps)
    g = marginals.update(softmin.cols(log_a + f / eps, eps), eps)
    s = softmin.rows(log_b + g / eps, eps)
    residual = _marginal_error(problem, problem.a, f, s)
    f = marginals.update(s, eps)
    return Potentials(f, g, _dual_value(problem, f, g, s)[:, 0], residual[:, 0], sweeps[:, 0] + 1)


@torch.no_grad()
def solve_symmetric(problem: EntropicBatch, n_iter: int, tol: float | None) -> Potentials:
    """Iterate ``f = (f + T(f)) / 2`` for a cloud against itself, which at least halves the error.

    The kernel exp(-c / eps) is positive for p = 1 and p = 2, so T contracts with a rate between -1 and 0
    (Feydy et al. 2019).
    """
    marginals, log_a = problem.marginals, problem.a.log()
    f = torch.zeros_like(problem.a)
    converged, sweeps = _initial_counters(problem)
    n_annealing = _annealing_sweeps(problem)
    for k in range(n_iter):
        eps = _annealed_eps(problem, k, n_annealing)
        s = problem.softmin.rows(log_a + f / eps, eps)
        if k >= n_annealing and (k - n_annealing) % CHECK_EVERY_SWEEPS == 0:
            converged = converged | (_marginal_error(problem, problem.a, f, s) <= _target_error(tol))
            if tol is not None and bool(converged.all()):
                break
        f = torch.where(converged, f, (f + marginals.update(s, eps)) / 2)
        sweeps = sweeps + ~converged
    s = problem.softmin.rows(log_a + f / problem.eps, problem.eps)
    # With the row marginals met the plan has the right mass, and the dual is sharp at any iteration.
    g, f = f, marginals.update(s, problem.eps)
    residual = _marginal_error(
        problem, problem.a, g, problem.softmin.rows(log_a + f / problem.eps, problem.eps)
    )
    return Potentials(f, g, _dual_value(problem, f, g, s)[:, 0], residual[:, 0], sweeps[:, 0])


def _choose_start(problem: EntropicBatch, state: tuple[Tensor, ...], guess: Tensor) -> tuple[Tensor, ...]:
    """Return f, g and the soft minimum for g with the larger dual: the current ones, or from the guess."""
    s = problem.softmin.rows(problem.b.log() + guess / problem.eps, problem.eps)
    from_guess = (problem.marginals.update(s, problem.eps), guess, s)
    is_higher = _dual_value(problem, *from_guess) > _dual_value(problem, *state)
    return tuple(torch.where(is_higher, new, old) for new, old in zip(from_guess, state, strict=True))


def sum_points(values: Tensor) -> Tensor:
    """Sum over points, in float64 if the device has it."""
    dtype = values.dtype if values.device.type == "mps" else torch.float64
    return values.sum(-1, keepdim=True, dtype=dtype)


def _initial_counters(problem: EntropicBatch) -> tuple[Tensor, Tensor]:
    zero = torch.zeros_like(problem.eps)
    return zero.bool(), zero.long()


def _annealing_sweeps(problem: EntropicBatch) -> int:
    """Return the number of sweeps until all problems of the batch have their final eps."""
    ratio = float((problem.initial_eps / problem.eps).max())
    return max(0, math.ceil(math.log(ratio) / -math.log(SWEEP_EPS_DECAY))) if ratio > 1 else 0


def _annealed_eps(problem: EntropicBatch, k: int, n_annealing: int) -> Tensor:
    if k >= n_annealing:
        return problem.eps
    return torch.maximum(problem.eps, problem.initial_eps * SWEEP_EPS_DECAY**k)


def _target_error(tol: float | None) -> float:
    # A margin for the plain sweep at the end.
    return -1.0 if tol is None else tol / 2


def _dual_rounding_error(problem: EntropicBatch) -> Tensor:
    return sum_points(problem.initial_eps * 16 * torch.finfo(problem.eps.dtype).eps)


def _marginal_error(problem: EntropicBatch, weights: Tensor, f: Tensor, s: Tensor) -> Tensor:
    """Return the L1 error of one marginal, relative to the mass."""
    eps = problem.eps
    difference = torch.exp((f - s) / eps) - torch.exp((problem.marginals.update(s, eps) - s) / eps)
    return sum_points(torch.where(weights > 0, weights * difference.abs(), 0.0)) / sum_points(weights)


def _dual_value(problem: EntropicBatch, f: Tensor, g: Tensor, s: Tensor) -> Tensor:
    """Return the dual objective; s is the soft minimum for g, which gives the mass of the plan."""
    marginals = problem.marginals
    mass = torch.where(problem.a > 0, problem.a * torch.exp((f - s) / problem.eps), 0.0)
    gains = sum_points(problem.a * marginals.gain(f)) + sum_points(problem.b * marginals.gain(g))
    return gains - problem.eps * (sum_points(mass) - sum_points(problem.a) * sum_points(problem.b))
