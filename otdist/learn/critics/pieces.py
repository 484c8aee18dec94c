"""Critics made of affine pieces: a maximum of minima of linear functions of slope 1."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from otdist.errors import InputError
from otdist.learn.critics.cones import require_once, soft_max
from otdist.learn.critics.orthogonal import UP

SLIGHT = 1e-5  # weights of groups below which their gradient is left out, in training


class Valleys(torch.autograd.Function):
    """``tau * logsumexp_k(min_m (w_mk . z + b_mk) / tau)``, one member at a time, with a sparse gradient.

    At a low temperature few groups count at a point: only for those the member that is smallest is looked up.
    """

    @staticmethod
    def forward(ctx: Any, z: Tensor, slopes: Tensor, levels: Tensor, tau: float) -> Tensor:
        """Values (n,) at points z (n, d), from slopes (M, K, d) and levels (M, K)."""
        lowest = torch.addmm(levels[0], z, slopes[0].T)
        for slope, level in zip(slopes[1:], levels[1:], strict=True):
            torch.minimum(lowest, torch.addmm(level, z, slope.T), out=lowest)
        scores = lowest.mul_(1.0 / tau)
        top = scores.amax(1)
        weights = torch.softmax(scores, 1)
        point, group = torch.nonzero(weights > SLIGHT, as_tuple=True)
        ctx.save_for_backward(z, slopes, levels, point, group, weights[point, group])
        return (top - weights.amax(1).log_()) * tau

    @staticmethod
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor | None, Tensor, Tensor, None]:
        """Gradients in points, slopes and levels."""
        require_once()
        z, slopes, levels, point, group, weights = ctx.saved_tensors
        at = z[point]
        member = (torch.einsum("mpd,pd->mp", slopes[:, group], at) + levels[:, group]).argmin(0)
        place = member * levels.shape[1] + group
        weights = weights * upstream[point]
        of_slopes = (
            torch.zeros_like(slopes).view(-1, slopes.shape[2]).index_add_(0, place, weights[:, None] * at)
        )
        of_levels = torch.zeros_like(levels).view(-1).index_add_(0, place, weights)
        of_points = None
        if ctx.needs_input_grad[0]:
            of_points = torch.zeros_like(z).index_add_(0, point, weights[:, None] * slopes[member, group])
        return of_points, of_slopes.view_as(slopes), of_levels.view_as(levels), None


class Pieces(nn.Module):
    r"""Soft maximum over groups of the minimum of affine functions.

    .. math:: f(z) = \tau \log \sum_k e^{g_k(z) / \tau}, \qquad
              g_k(z) = \min_m w_{km}^\top z + b_{km}, \quad |w_{km}| = 1

    Parameters
    ----------
    start : Tensor, shape (K, d)
        Where the pieces of each group meet at first.
    members : int
        Affine functions of a group.
    tau : float
        Temperature, in units of the points.
    generator : torch.Generator, optional
        For the first slopes.

    Notes
    -----
    Maxima and minima of 1-Lipschitz functions are 1-Lipschitz: the constant is the largest ``|w|``, computed
    in float64. Every piecewise affine 1-Lipschitz function is of this form (Ovchinnikov 2002), and a network
    with GroupSort in two layers is (Anil, Lucas, Grosse 2019; Tanielian, Biau 2021). Cost: O(n K members d);
    made for few columns, where few members enclose a point.

    Examples
    --------
    >>> import torch
    >>> from otdist.learn.critics import Pieces
    >>> critic = Pieces(torch.zeros(4, 2), members=8, generator=torch.Generator().manual_seed(0))
    >>> round(critic.lipschitz(), 6)
    1.0
    """

    def __init__(
        self, start: Tensor, *, members: int = 16, tau: float = 0.02, generator: torch.Generator | None = None
    ) -> None:
        super().__init__()
        if start.ndim != 2 or len(start) < 1:
            raise InputError("start", f"has shape {tuple(start.shape)}", "give points of shape (K, d)")
        if members < 1 or not tau > 0:
            name = "members" if members < 1 else "tau"
            raise InputError(name, "is not positive", "give a number above 0")
        groups, d = start.shape
        slopes = torch.randn(members, groups, d, generator=generator)
        slopes /= slopes.norm(dim=-1, keepdim=True)
        self.slopes = nn.Parameter(slopes.to(start))
        self.levels = nn.Parameter(-(self.slopes.detach() * start.detach()).sum(-1))
        self.tau = float(tau)

    def forward(self, z: Tensor) -> Tensor:
        """Values (n,) at points z (n, d)."""
        if self.training:
            return Valleys.apply(z, self.slopes, self.levels, self.tau)
        members, groups, d = self.slopes.shape
        pieces = torch.addmm(self.levels.flatten(), z, self.slopes.view(-1, d).T)
        return soft_max(pieces.view(len(z), members, groups).amin(1), self.tau)

    def lipschitz(self) -> float:
        """Bound of the constant, from norms in float64, rounded up."""
        return float(self.slopes.detach().double().norm(dim=-1).max()) * UP

    @torch.no_grad()
    def retract(self) -> None:
        """Bring the slopes back to norm 1."""
        self.slopes.div_(self.slopes.norm(dim=-1, keepdim=True))
