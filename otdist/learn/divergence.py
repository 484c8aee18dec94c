"""Entropic transport and the Sinkhorn divergence between weighted clouds of points, for torch."""

from __future__ import annotations

import warnings
from typing import Any

import torch
from torch import Tensor

from otdist.arrays import caller_level
from otdist.errors import ConvergenceWarning
from otdist.learn.entropic import Potentials, Task, solve, solve_symmetric, total
from otdist.learn.envelope import EntropicValue
from otdist.learn.inputs import Clouds, Scale, read_clouds
from otdist.learn.marginals import Marginals
from otdist.learn.options import Options
from otdist.learn.softmin import Pair
from otdist.learn.sums import Law


@torch.compiler.disable
def divergence(
    x: Any, y: Any, a: Any = None, b: Any = None, *, debias: bool = True, **options: Any
) -> tuple[Tensor, dict[str, Any]]:
    r"""Sinkhorn divergence between two weighted clouds of points, with how it was reached.

    .. math::

        S = \mathrm{OT}(a, b) - \tfrac12 \mathrm{OT}(a, a) - \tfrac12 \mathrm{OT}(b, b), \qquad
        \mathrm{OT}(a, b) = \min_P \langle P, C\rangle + \varepsilon\, \mathrm{KL}(P \mid a b^T)

    over plans P with marginals a and b, with the costs :math:`C_{ij} = |x_i - y_j|^p`, not rooted, and
    *without* the factor 1/2 that GeomLoss has for p = 2.

    Parameters
    ----------
    x, y : Tensor, shape (n, d) and (m, d), or (B, n, d) and (B, m, d)
        Points, on any device; finite. ``(n,)`` is ``(n, 1)``. A batch is B problems solved side by side.
    a, b : Tensor, shape (n,), (m,) or (B, n), (B, m), optional
        Weights, non-negative. None means equal weights with sum 1. They are divided by their sum, unless
        ``reach`` asks for a penalty instead: then their sums are their masses.
    debias : bool
        Subtract the two terms of each cloud against itself. If False, the value is OT(a, b), which does not
        vanish for equal clouds.
    p : float
        Order of the cost, at least 1.
    eps : float
        Regularisation as a share of the mean cost of the independent coupling, ``<a b^T, C>``, so that the
        divergence grows with the scale of the data like its cost. The gradient holds their product fixed.
    eps_abs : float or Tensor of shape (B,), optional
        Regularisation in units of the cost, instead of ``eps``: the same function at every step of a
        training.
    reach : float, optional
        Distance beyond which mass is rather destroyed and created than moved, in the units of the points.
        None keeps the marginals exact; else each marginal r costs ``reach**p * KL(r | a)``.
    penalty : {"kl", "tv"}
        Penalty of the marginals with ``reach``: Kullback-Leibler, or ``reach**p * sum_i |r_i - a_i|``.
    n_iter : int
        Sweeps at most; a sweep updates both potentials.
    tol : float, optional
        Stop when the L1 error of the marginals, as a share of the mass, is at most this. It is looked at
        every 10 sweeps, and only then does the host wait for the device. None makes exactly ``n_iter``
        sweeps.
    engine : {"auto", "torch", "compile", "triton"}
        Who computes the passes over all pairs. ``"compile"`` is ``torch.compile``: it takes about 20 s at
        the first call, and then a third (2 columns) to a half (16) of the time on a CPU. ``"triton"`` is a
        kernel for CUDA, float32 and p of 1 or 2, which has been run in Triton's interpreter only.
        ``"auto"`` is ``"torch"``.
    block : int, optional
        Pairs in a tile. None: as many as the cache holds (2**18 on a CPU, else 2**24), or all of
        them, kept between sweeps, for up to 2**22 pairs.

    Returns
    -------
    value : Tensor, shape () or (B,)
        In units of the cost, in the dtype of the points, but at least float32. It is differentiable with
        respect to x, y, a and b by the envelope theorem, with gradient 0 for the kink of the distance at
        coincident points. Second derivatives are those of the exact optimum, by implicit differentiation;
        third ones are not available.
    info : dict
        Detached tensors of shape () or (B,): ``"residual"``, the L1 error of the marginals, the
        largest of the terms; ``"converged"``, whether it is at most ``tol``; ``"iterations"``; ``"eps_abs"``;
        ``"xy"``, ``"xx"`` and ``"yy"``, the terms; and ``"f"`` and ``"g"``, the potentials of OT(a, b), in
        units of the cost.

    Raises
    ------
    InputError
        If shapes, devices, weights or options cannot be used, or a value is not finite.

    Warns
    -----
    ConvergenceWarning
        If the marginals were not met to ``tol``. Each term is then a value of its dual, at most the
        optimum, and the divergence may be negative; it is returned as it is.

    Notes
    -----
    At convergence S is at least 0, and 0 only for equal clouds, for p = 1 and p = 2 (Feydy et al. 2019,
    theorem 1). With a penalty, ``eps (mass(a) - mass(b))**2 / 2`` is added (Séjourné et al. 2019).

    Cost: O(n m d) time a sweep, O(n + m) memory and a tile, forwards and backwards. Potentials are updated
    in turns (Cuturi 2013), while eps falls from the mean cost by 0.7 a sweep, then over-relaxed (Lehmann et
    al. 2021) with a guard: see ``otdist.learn.relax``. A schedule that ends at a fixed eps is enough here;
    for eps that goes on falling see Chizat (2024). Distances come from differences of coordinates; no
    product is left to TF32.

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
    choice = Options(**options)
    clouds = read_clouds(x, y, a, b, balanced=choice.reach is None)
    with torch.autocast(clouds.x.device.type, enabled=False):
        value, info = _of_clouds(clouds, choice, debias)
    if choice.tol is not None:
        warn_unfinished(info, choice)
    return value, info


def _of_clouds(clouds: Clouds, choice: Options, debias: bool) -> tuple[Tensor, dict[str, Any]]:
    scale = Scale.of(clouds.x.detach(), clouds.y.detach(), choice.p)
    x, y, a, b = scale.place(clouds.x), scale.place(clouds.y), clouds.a, clouds.b
    sides = {"xx": (x, x, a, a), "yy": (y, y, b, b), "xy": (x, y, a, b)}
    across = Pair(x.detach(), y.detach(), choice.p, choice.engine, choice.block)
    start, law = setting(across.means(b.detach()), a.detach(), b.detach(), scale, choice)
    values: dict[str, Tensor] = {}
    found: dict[str, Potentials] = {}
    for name, data in sides.items() if debias else [("xy", sides["xy"])]:
        left, right, points = data[2].detach(), data[3].detach(), data[0].detach()
        own = name != "xy"
        passes = Pair(points, points, choice.p, choice.engine, choice.block) if own else across
        task = Task(passes, left, right, law.eps, start, law.marginals)
        found[name] = solved(name, task, choice, found)
        values[name] = EntropicValue.apply(found[name].dual, found[name].f, found[name].g, law, *data)
    value = scale.cost(combined(values, a, b, law.eps)).to(x.dtype)
    return clouds.unbatched(value), report(found, scale, law, choice, clouds.batched)


def setting(means: Tensor, a: Tensor, b: Tensor, scale: Scale, choice: Options) -> tuple[Tensor, Law]:
    """Mean cost of the independent coupling, (B, 1), and with it eps and the penalty."""
    mean = (total(a * means) / (total(a) * total(b))).to(a.dtype)
    if choice.eps_abs is None:
        # All points in one place: any eps gives 0.
        eps = torch.where(mean > 0, choice.eps * mean, 1.0)
    else:
        eps = scale.place_cost(choice.eps_abs, mean).expand_as(mean)
    marginals = Marginals()
    if choice.reach is not None:
        rho = scale.place_cost(float(choice.reach) ** choice.p, mean).expand_as(mean)
        marginals = Marginals(choice.penalty, rho)
    return mean, Law(choice.p, eps, marginals, choice.block)


def solved(name: str, task: Task, choice: Options, found: dict[str, Potentials]) -> Potentials:
    """Potentials of one of the three terms, with the help of those found before."""
    if name != "xy":
        return solve_symmetric(task, choice.n_iter, choice.tol)
    return solve(task, choice.n_iter, choice.tol, found["yy"].f if "yy" in found else None)


def combined(values: dict[str, Tensor], a: Tensor, b: Tensor, eps: Tensor) -> Tensor:
    """Divergence (B,) from the three terms, or the one that there is."""
    if "xx" not in values:
        return values["xy"]
    # Séjourné et al. (2019): without it, equal shapes of unequal mass could come out negative.
    lost = (total(a) - total(b)).square() * eps / 2
    return values["xy"] - (values["xx"] + values["yy"]) / 2 + lost[:, 0]


def report(
    found: dict[str, Potentials], scale: Scale, law: Law, choice: Options, batched: bool
) -> dict[str, Any]:
    """What is to be known about a value besides the value; detached, on the device."""
    residual = torch.stack([p.residual for p in found.values()]).amax(0)
    own = {name: scale.cost(p.dual) for name, p in found.items()}
    info = {
        "residual": residual,
        "converged": residual <= (torch.inf if choice.tol is None else choice.tol),
        "iterations": torch.stack([p.sweeps for p in found.values()]).amax(0),
        "eps_abs": scale.cost(law.eps)[:, 0],
        "f": scale.cost(found["xy"].f),
        "g": scale.cost(found["xy"].g),
        **own,
    }
    return info if batched else {name: values[0] for name, values in info.items()}


def warn_unfinished(info: dict[str, Any], choice: Options) -> None:
    """Warn if a marginal is missed by more than ``tol``."""
    if not bool(info["converged"].all()):
        residual, sweeps = float(info["residual"].max()), int(info["iterations"].max())
        warnings.warn(
            f"entropic transport stopped after {sweeps} sweeps with marginals off by {residual:.2g}, "
            f"tol is {choice.tol:g}: each term may be too low; raise n_iter, eps or tol",
            ConvergenceWarning,
            stacklevel=caller_level(),
        )
