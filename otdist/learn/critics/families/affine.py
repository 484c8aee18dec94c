"""Piecewise affine critics: a maximum of minima of affine functions of slope 1."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from otdist.inputs.arguments import check_integer, check_number
from otdist.learn.critics.families.cones import refuse_second_derivative, soft_max
from otdist.learn.critics.families.kmeans import require_points
from otdist.learn.critics.families.orthogonal import ROUND_UP
from otdist.learn.modes import in_transform

if TYPE_CHECKING:
    from torch.autograd.function import FunctionCtx

MIN_GROUP_WEIGHT = 1e-5  # softmax weight of a group below which its training gradient is 0


class SoftMaxMin(torch.autograd.Function):
    """``tau * logsumexp_k(min_m (w_mk . z + b_mk) / tau)`` with a sparse gradient.

    At a low temperature few groups have weight at a point; the backward pass finds the minimum of those only.
    """

    @staticmethod
    def forward(ctx: FunctionCtx, z: Tensor, slopes: Tensor, levels: Tensor, tau: float) -> Tensor:
        """Return values (n,) at points z (n, d) for slopes (M, K, d) and levels (M, K)."""
        lowest = torch.addmm(levels[0], z, slopes[0].T)
        for slope, level in zip(slopes[1:], levels[1:], strict=True):
            torch.minimum(lowest, torch.addmm(level, z, slope.T), out=lowest)
        scores = lowest.mul_(1.0 / tau)
        top = scores.amax(1)
        weights = torch.softmax(scores, 1)
        point, group = torch.nonzero(weights > MIN_GROUP_WEIGHT, as_tuple=True)
        ctx.save_for_backward(z, slopes, levels, point, group, weights[point, group])
        return (top - weights.amax(1).log_()) * tau

    @staticmethod
    def backward(ctx: FunctionCtx, grad_output: Tensor) -> tuple[Tensor | None, Tensor, Tensor, None]:
        """Return the gradients in points, slopes and levels."""
        refuse_second_derivative()
        z, slopes, levels, point, group, weights = ctx.saved_tensors
        at = z[point]
        member = (torch.einsum("mpd,pd->mp", slopes[:, group], at) + levels[:, group]).argmin(0)
        place = member * levels.shape[1] + group
        weights = weights * grad_output[point]
        slope_gradient = (
            torch.zeros_like(slopes).view(-1, slopes.shape[2]).index_add_(0, place, weights[:, None] * at)
        )
        level_gradient = torch.zeros_like(levels).view(-1).index_add_(0, place, weights)
        point_gradient = None
        if ctx.needs_input_grad[0]:
            point_gradient = torch.zeros_like(z).index_add_(
                0, point, weights[:, None] * slopes[member, group]
            )
        return point_gradient, slope_gradient.view_as(slopes), level_gradient.view_as(levels), None


class Pieces(nn.Module):
    r"""Soft maximum over groups of the minimum of affine functions.

    .. math:: f(z) = \tau \log \sum_k e^{g_k(z) / \tau}, \qquad
              g_k(z) = \min_m w_{km}^\top z + b_{km}, \quad |w_{km}| = 1

    Parameters
    ----------
    start : Tensor, shape (K, d)
        Initial points at which the pieces of each group meet.
    members : int
        Number of affine functions in a group.
    tau : float
        Temperature, in units of the points.
    generator : torch.Generator, optional
        Random generator for the initial slopes.

    Notes
    -----
    Maxima and minima of 1-Lipschitz functions are 1-Lipschitz: the constant is the largest ``|w|``, computed
    in float64. Every piecewise affine 1-Lipschitz function is of this form (Ovchinnikov 2002), and so is
    a GroupSort network with two layers (Anil, Lucas, Grosse 2019; Tanielian, Biau 2021). Cost:
    O(n K members d). For few columns, where few affine functions enclose a point.

    Examples
    --------
    >>> import torch
    >>> from otdist.learn.critics import Pieces
    >>> critic = Pieces(torch.zeros(4, 2), members=8, generator=torch.Generator().manual_seed(0))
    >>> round(critic.lipschitz(), 6)
    1.0
    """

    slopes: nn.Parameter
    levels: nn.Parameter
    tau: float

    def __init__(
        self, start: Tensor, *, members: int = 16, tau: float = 0.02, generator: torch.Generator | None = None
    ) -> None:
        super().__init__()
        require_points(start, "start")
        check_integer(members, "members")
        check_number(tau, "tau", above=0, remedy="give a temperature such as 0.02")
        groups, d = start.shape
        slopes = torch.randn(members, groups, d, generator=generator)
        slopes /= slopes.norm(dim=-1, keepdim=True)
        self.slopes = nn.Parameter(slopes.to(start))
        self.levels = nn.Parameter(-(self.slopes.detach() * start.detach()).sum(-1))
        self.tau = float(tau)

    def forward(self, z: Tensor) -> Tensor:
        """Return values (n,) at points z (n, d)."""
        if self.training and not in_transform():
            return SoftMaxMin.apply(z, self.slopes, self.levels, self.tau)
        members, groups, d = self.slopes.shape
        pieces = torch.addmm(self.levels.flatten(), z, self.slopes.view(-1, d).T)
        return soft_max(pieces.view(len(z), members, groups).amin(1), self.tau)

    def lipschitz(self) -> float:
        """Return an upper bound of the Lipschitz constant, from norms in float64."""
        return float(self.slopes.detach().cpu().double().norm(dim=-1).max()) * ROUND_UP

    @torch.no_grad()
    def retract(self) -> None:
        """Normalise the slopes."""
        self.slopes.div_(self.slopes.norm(dim=-1, keepdim=True))
