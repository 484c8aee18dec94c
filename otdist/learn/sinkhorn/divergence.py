"""Entropic transport and the Sinkhorn divergence between weighted clouds of points, for torch."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from otdist.errors import ConvergenceWarning
from otdist.inputs.arrays import caller_level
from otdist.learn.modes import exclude_from_graph
from otdist.learn.sinkhorn.entropic import EntropicBatch, Potentials, solve, solve_symmetric, sum_points
from otdist.learn.sinkhorn.envelope import EntropicValue
from otdist.learn.sinkhorn.inputs import Clouds, Scale, read_clouds
from otdist.learn.sinkhorn.marginals import MarginalPenalty
from otdist.learn.sinkhorn.options import Options
from otdist.learn.sinkhorn.softmin import PairwiseSoftmin
from otdist.learn.sinkhorn.sums import EntropicSettings

if TYPE_CHECKING:
    from typing import Unpack

    from otdist.learn.sinkhorn.options import DivergenceOptions
    from otdist.typing import ArrayInput


@exclude_from_graph
def divergence(
    x: ArrayInput,
    y: ArrayInput,
    a: ArrayInput | None = None,
    b: ArrayInput | None = None,
    *,
    debias: bool = True,
    **options: Unpack[DivergenceOptions],
) -> tuple[Tensor, dict[str, Tensor]]:
    r"""Compute the Sinkhorn divergence between two weighted clouds of points, and its diagnostics.

    .. math::

        S = \mathrm{OT}(a, b) - \tfrac12 \mathrm{OT}(a, a) - \tfrac12 \mathrm{OT}(b, b), \qquad
        \mathrm{OT}(a, b) = \min_P \langle P, C\rangle + \varepsilon\, \mathrm{KL}(P \mid a b^T)

    over plans P with marginals a and b, with costs :math:`C_{ij} = |x_i - y_j|^p`, without a root, and
    *without* the factor 1/2 of GeomLoss for p = 2.

    Parameters
    ----------
    x, y : Tensor, shape (n, d) and (m, d), or (B, n, d) and (B, m, d)
        Points, on any device; finite. ``(n,)`` is ``(n, 1)``. A batch is B separate problems.
    a, b : Tensor, shape (n,), (m,) or (B, n), (B, m), optional
        Weights, non-negative. None means equal weights with sum 1. They are divided by their sum, unless
        ``reach`` is given: then their sums are the masses.
    debias : bool
        Subtract the terms of each cloud against itself. If False, the value is OT(a, b), which does not
        vanish for equal clouds.
    p : float
        Order of the cost, at least 1.
    eps : float
        Regularisation as a share of the mean cost of the independent coupling, ``<a b^T, C>``, so that the
        divergence scales with the data like its cost. Their product is a constant of the gradient.
    eps_abs : float or Tensor of shape (B,), optional
        Regularisation in units of the cost, instead of ``eps``: the same function in every step of
        training.
    reach : float, optional
        Distance beyond which mass is destroyed and created instead of transported, in the units of the
        points. None: exact marginals; otherwise each marginal r costs ``reach**p * KL(r | a)``.
    penalty : {"kl", "tv"}
        Penalty of the marginals with ``reach``: Kullback-Leibler, or ``reach**p * sum_i |r_i - a_i|``.
    n_iter : int
        Largest number of sweeps, which update both potentials.
    tol : float, optional
        Stop when the L1 error of the marginals, relative to the mass, is at most this. It is checked every 10
        sweeps, which is the only synchronisation with the device. None: exactly ``n_iter`` sweeps.
    engine : {"auto", "torch", "compile", "triton"}
        Implementation of the soft minima. ``"compile"`` is ``torch.compile``: it takes about 20 s at the
        first call, and then a third (2 columns) to a half (16) of the time on a CPU. ``"triton"`` is a
        kernel for CUDA, float32 and p of 1 or 2, tested in Triton's interpreter only. ``"auto"`` is
        ``"torch"``.
    block : int, optional
        Number of pairs in a tile. None: 2**18 on a CPU, which fits its cache, else 2**24; up to 2**22 pairs
        are all stored between sweeps.

    Returns
    -------
    value : Tensor, shape () or (B,)
        Divergence in units of the cost, in the dtype of the points, but at least float32. It is
        differentiable in x, y, a and b by the envelope theorem, with gradient 0 at the kink of the distance.
        Second derivatives are those of the exact optimum, by implicit differentiation; third derivatives
        raise an InputError, and so do second ones in the points if points coincide and 1 < p < 2.
    info : dict
        Diagnostics, detached tensors of shape () or (B,): ``"residual"``, the largest L1 error of the
        marginals of the terms; ``"converged"``, whether it is at most ``tol``; ``"iterations"``;
        ``"eps_abs"``; ``"xy"``, ``"xx"`` and ``"yy"``, the terms; and ``"f"`` and ``"g"``, the potentials of
        OT(a, b), in units of the cost.

    Raises
    ------
    InputError
        If shapes, devices, weights or options cannot be used, or a value is not finite.

    Warns
    -----
    ConvergenceWarning
        If the error of the marginals is above ``tol``. Each term is then a lower bound of its optimum, and
        the divergence, which is not clipped, may be negative.

    Notes
    -----
    At convergence S is at least 0, and 0 only for equal clouds, for p = 1 and p = 2 (Feydy et al. 2019,
    theorem 1). With a penalty, ``eps (mass(a) - mass(b))**2 / 2`` is added (Séjourné et al. 2019).

    Cost: O(n m d) time per sweep, O(n + m) memory and a tile, forward and backward. Potentials are updated
    alternately (Cuturi 2013) while eps decreases from the mean cost by 0.7 per sweep, then with
    over-relaxation (Lehmann et al. 2021) and a safeguard, see
    ``otdist.learn.sinkhorn.relax``. Distances are computed from differences of coordinates, never in TF32.

    Examples
    --------
    >>> import torch
    >>> from otdist.learn import divergence
    >>> x = torch.tensor([[0.0, 0.0], [1.0, 0.0]], requires_grad=True)
    >>> y = torch.tensor([[0.0, 3.0], [1.0, 3.0]])
    >>> value, info = divergence(x, y, p=2)
    >>> round(value.item(), 3), bool(info["converged"])
    (9.0, True)
    >>> value.backward()
    >>> round(x.grad[0, 1].item(), 3)
    -3.0
    """
    checked = Options(**options)
    clouds = read_clouds(x, y, a, b, balanced=checked.reach is None)
    with torch.autocast(clouds.x.device.type, enabled=False):
        value, info = _clouds_divergence(clouds, checked, debias)
    if checked.tol is not None:
        warn_if_unconverged(info, checked)
    return value, info


def _clouds_divergence(clouds: Clouds, options: Options, debias: bool) -> tuple[Tensor, dict[str, Tensor]]:
    scale = Scale.of(clouds.x.detach(), clouds.y.detach(), options.p)
    x, y, a, b = scale.transform(clouds.x), scale.transform(clouds.y), clouds.a, clouds.b
    sides = {"xx": (x, x, a, a), "yy": (y, y, b, b), "xy": (x, y, a, b)}
    cross_softmin = PairwiseSoftmin(x.detach(), y.detach(), options.p, options.engine, options.block)
    initial_eps, settings = resolve_settings(
        cross_softmin.means(b.detach()), a.detach(), b.detach(), scale, options
    )
    values: dict[str, Tensor] = {}
    potentials: dict[str, Potentials] = {}
    for name, data in sides.items() if debias else [("xy", sides["xy"])]:
        left, right, points = data[2].detach(), data[3].detach(), data[0].detach()
        term_softmin = cross_softmin
        if name != "xy":
            term_softmin = PairwiseSoftmin(points, points, options.p, options.engine, options.block)
        problem = EntropicBatch(term_softmin, left, right, settings.eps, initial_eps, settings.marginals)
        solution = potentials[name] = solve_term(name, problem, options, potentials)
        values[name] = EntropicValue.apply(solution.dual, solution.f, solution.g, settings, *data)
    value = scale.to_cost_units(combine_terms(values, a, b, settings.eps)).to(x.dtype)
    return clouds.remove_batch(value), diagnostics(potentials, scale, settings, options, clouds.batched)


def resolve_settings(
    means: Tensor, a: Tensor, b: Tensor, scale: Scale, options: Options
) -> tuple[Tensor, EntropicSettings]:
    """Return the mean cost of the independent coupling, (B, 1), and the entropic settings."""
    mean = (sum_points(a * means) / (sum_points(a) * sum_points(b))).to(a.dtype)
    if options.eps_abs is None:
        # If all points coincide, the value is 0 for any eps.
        eps = torch.where(mean > 0, options.eps * mean, 1.0)
    else:
        eps = scale.from_cost_units(options.eps_abs, mean).expand_as(mean)
    marginals = MarginalPenalty()
    if options.reach is not None:
        rho = scale.from_cost_units(float(options.reach) ** options.p, mean).expand_as(mean)
        marginals = MarginalPenalty(options.penalty, rho)
    return mean, EntropicSettings(options.p, eps, marginals, options.block)


def solve_term(
    name: str, problem: EntropicBatch, options: Options, potentials: dict[str, Potentials]
) -> Potentials:
    """Compute the potentials of one of the three terms, given the potentials of earlier terms."""
    if name != "xy":
        return solve_symmetric(problem, options.n_iter, options.tol)
    return solve(problem, options.n_iter, options.tol, potentials["yy"].f if "yy" in potentials else None)


def combine_terms(values: dict[str, Tensor], a: Tensor, b: Tensor, eps: Tensor) -> Tensor:
    """Return the divergence (B,) from its terms, or the only term without debiasing."""
    if "xx" not in values:
        return values["xy"]
    # Séjourné et al. (2019): without it the divergence of unequal masses could be negative.
    mass_term = (sum_points(a) - sum_points(b)).square() * eps / 2
    return values["xy"] - (values["xx"] + values["yy"]) / 2 + mass_term[:, 0]


def diagnostics(
    potentials: dict[str, Potentials],
    scale: Scale,
    settings: EntropicSettings,
    options: Options,
    batched: bool,
) -> dict[str, Tensor]:
    """Collect the diagnostics of a divergence (residual, convergence, potentials), as detached tensors."""
    residual = torch.stack([p.residual for p in potentials.values()]).amax(0)
    self_terms = {name: scale.to_cost_units(p.dual) for name, p in potentials.items()}
    info = {
        "residual": residual,
        "converged": residual <= (torch.inf if options.tol is None else options.tol),
        "iterations": torch.stack([p.sweeps for p in potentials.values()]).amax(0),
        "eps_abs": scale.to_cost_units(settings.eps)[:, 0],
        "f": scale.to_cost_units(potentials["xy"].f),
        "g": scale.to_cost_units(potentials["xy"].g),
        **self_terms,
    }
    return info if batched else {name: values[0] for name, values in info.items()}


def warn_if_unconverged(info: dict[str, Tensor], options: Options) -> None:
    """Warn if the error of a marginal is above ``tol``."""
    if not bool(info["converged"].all()):
        residual, sweeps = float(info["residual"].max()), int(info["iterations"].max())
        warnings.warn(
            f"entropic transport stopped after {sweeps} sweeps with marginals off by {residual:.2g}, "
            f"tol is {options.tol:g}: each term may be too low; raise n_iter, eps or tol",
            ConvergenceWarning,
            stacklevel=caller_level(),
        )
