"""Critics made of affine pieces: a maximum of minima of linear functions of slope 1."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from otdist.errors import InputError
from otdist.learn.critics.cones import soft_max
from otdist.learn.critics.orthogonal import UP


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
        slopes = torch.randn(groups, members, d, generator=generator)
        slopes /= slopes.norm(dim=-1, keepdim=True)
        self.slopes = nn.Parameter(slopes.to(start))
        self.levels = nn.Parameter(-(self.slopes.detach() @ start.detach()[:, :, None])[..., 0])
        self.tau = float(tau)

    def forward(self, z: Tensor) -> Tensor:
        """Values (n,) at points z (n, d)."""
        groups, members, d = self.slopes.shape
        pieces = torch.addmm(self.levels.flatten(), z, self.slopes.view(-1, d).T)
        return soft_max(pieces.view(len(z), groups, members).amin(-1), self.tau)

    def lipschitz(self) -> float:
        """Bound of the constant, from norms in float64, rounded up."""
        return float(self.slopes.detach().double().norm(dim=-1).max()) * UP

    @torch.no_grad()
    def retract(self) -> None:
        """Bring the slopes back to norm 1."""
        self.slopes.div_(self.slopes.norm(dim=-1, keepdim=True))
