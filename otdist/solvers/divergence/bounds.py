"""Bounds of an entropic optimum, from potentials with exact rows."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from otdist.bounds import UNIT_ROUNDOFF
from otdist.solvers.costs import cost_rounding, weight_rounding_cost
from otdist.solvers.entropic.iteration import KLProx, SinkhornState

if TYPE_CHECKING:
    from otdist.solvers.divergence.term import EntropicTerm


def entropic_interval(
    term: EntropicTerm, state: SinkhornState, rho: float | None
) -> tuple[float, float, float, float]:
    """Compute the dual value of potentials with exact rows, and bounds of the optimum (see the theory).

    The last number is the error that rounding may add to the residual.
    """
    f, g, eps = state.f, state.g, state.eps
    size = float(np.abs(f).max() + np.abs(g).max())
    # Bound of the float64 error of a soft minimum; generous.
    rounding_error = (term.problem.d + 8) * term.prepared.ground.extent + 2 * size
    rounding_error += eps * (310 + len(term.b) / 256 + 2 * float(np.abs(np.log(term.b)).max()))
    rounding_error = (
        UNIT_ROUNDOFF * rounding_error
        + cost_rounding(term.problem) * term.prepared.ground.extent
        + term.prepared.entry_error
    )
    share = 2 * rounding_error / eps  # error of the marginals beyond the residual, for a mass of 1
    if rho is None:
        value, low, high = _balanced_bounds(term, state, rounding_error)
        weight_error = math.ldexp(weight_rounding_cost(term.problem), -term.prepared.exponent)
        low, high = low + weight_error, high + weight_error
    else:
        value, low, high = _unbalanced_bounds(term, state, rho, rounding_error)
    low += 8 * UNIT_ROUNDOFF * (float(term.a @ np.abs(f)) + float(term.b @ np.abs(g)))
    if rho is not None and term.tilt:
        constant = rho * term.unmet
        value, low, high = (
            value + constant,
            low + 16 * UNIT_ROUNDOFF * constant,
            high + 16 * UNIT_ROUNDOFF * constant,
        )
    value, lower, upper = _clamp(value, (value - low, value + low + high), trivial_upper(term, eps, rho))
    return value * term.unit, lower * term.unit, upper * term.unit, share


def trivial_upper(term: EntropicTerm, eps: float, rho: float | None) -> float:
    """Cost of the plan ``a b^T``; with a penalty, cost of the empty plan."""
    if rho is None:
        return term.mean * (1 + 2.0**-40)
    total = math.fsum(term.a), math.fsum(term.b)
    return (rho * sum(total) + rho * term.unmet + eps * total[0] * total[1]) * (1 + 2.0**-40)


def _balanced_bounds(
    term: EntropicTerm, state: SinkhornState, rounding_error: float
) -> tuple[float, float, float]:
    """Return value, and how far the optimum may lie below and above it, for exact marginals."""
    f, g, eps = state.f, state.g, state.eps
    value = math.fsum(term.a * f) + math.fsum(term.b * g)
    span = term.prepared.ground.extent + float(np.ptp(g))
    share = rounding_error / eps  # error of the marginals beyond the residual, for a mass of 1
    high = (state.residual * (1 + 2 * share) + 2 * share) * span / 2
    return (
        value,
        rounding_error,
        high + 4 * share * (span + float(np.ptp(f)) + float(np.abs(f).max() + np.abs(g).max())),
    )


def _unbalanced_bounds(
    term: EntropicTerm, state: SinkhornState, rho: float, rounding_error: float
) -> tuple[float, float, float]:
    """Return the same for penalised marginals; both bounds use the contraction of the updates."""
    f, g, eps = state.f, state.g, state.eps
    with np.errstate(over="ignore", invalid="ignore"):
        left, right = term.a * np.exp(-f / rho), term.b * np.exp(-g / rho)
        carried = float(left.sum())
        gains = -rho * (term.a * np.expm1(-f / rho)), -rho * (term.b * np.expm1(-g / rho))
        value = math.fsum(gains[0]) + math.fsum(gains[1])
        value -= eps * (carried - float(term.a.sum()) * float(term.b.sum()))
        raw = term.logsumexp64.softmin(f, np.log(term.a), eps, flip=True)
        cols = term.b * np.exp((g - raw) / eps)
        keep = rho / (rho + eps)
        slack = eps / (rho + eps) * (1 + keep)  # 1 - keep**2: an update reduces a difference by this factor
        far = (float(np.abs(raw * keep - g).max()) + 2 * rounding_error) / slack
        hidden_residual = 4 * rounding_error / eps * (carried + float(cols.sum()))
        off = float(np.abs(right - cols).sum())
        # Both optimal marginals have one mass, so a constant added to g has no effect; otherwise an optimal
        # g differs by no more than the costs from one point and the potentials.
        span = term.prepared.ground.extent + float(np.ptp(g))
        uneven = carried * abs(KLProx(rho, even=True).imbalance(term.a, term.b, f, g))
        uneven += 16 * UNIT_ROUNDOFF * float(np.abs(gains[0]).sum() + np.abs(gains[1]).sum()) / rho
        widest = 4 * (span + float(np.ptp(f)) + term.prepared.ground.extent) + 2 * rho * uneven / carried
        high = min(
            (off + hidden_residual) * min(far, widest), off * span / 2 + (hidden_residual + uneven) * widest
        )
        rounded = 16 * UNIT_ROUNDOFF * float(np.abs(gains[0]).sum() + np.abs(gains[1]).sum())
        rounded += 16 * UNIT_ROUNDOFF * eps * (carried + float(term.a.sum()) * float(term.b.sum()))
    return value, rounded + 2 * rounding_error * carried, high


def _clamp(value: float, bounds: tuple[float, float], limit: float) -> tuple[float, float, float]:
    """Clip value and bounds to the trivial interval, 0 to ``limit``, also after over- or underflow."""
    lower = bounds[0] if bounds[0] > 0 else 0.0
    upper = bounds[1] if bounds[1] < limit else limit
    if math.isnan(value):
        value = upper
    return min(max(value, lower), upper), lower, upper
