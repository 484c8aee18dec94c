"""Critics of the subspace in which two samples differ."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from otdist.errors import InputError
from otdist.learn.critics.families.orthogonal import ROUND_UP, retract_orthogonal

MIN_DIFFERENCE_RATIO = 1.5  # smallest significant ratio of a difference to that of random halves
RANDOM_SPLITS = 3  # random halvings of all points, as a reference


class Subspace(nn.Module):
    """Critic of the points' coordinates in a subspace.

    Parameters
    ----------
    basis : Tensor, shape (r, d)
        Initial orthonormal directions, which are trained with the inner critic.
    inner : Module
        Critic of r columns: values, ``lipschitz()``, ``retract()``, ``orientation`` and temperature ``tau``.

    Notes
    -----
    A projection is 1-Lipschitz, so the constant is at most the constant of the inner critic times the largest
    singular value of the basis, computed in float64. The function to be learned has r columns instead of d:
    for two distributions that differ by a zigzag along one of 128 directions the relative error is one
    percent, and a twentieth with critics of all columns in the same time.

    Examples
    --------
    >>> import torch
    >>> from otdist.learn.critics import Anchors, Subspace
    >>> critic = Subspace(torch.eye(5)[:1], Anchors(torch.zeros(1, 1), tau=1e-3))
    >>> round(critic.lipschitz(), 6), round(critic(torch.tensor([[3.0, 7.0, 7.0, 7.0, 7.0]])).item(), 4)
    (1.0, -3.0)
    """

    weights: nn.ParameterList

    def __init__(self, basis: Tensor, inner: nn.Module) -> None:
        super().__init__()
        if basis.ndim != 2 or not 1 <= len(basis) <= basis.shape[1]:
            problem = f"must have shape (r, d) with 1 <= r <= d, got {tuple(basis.shape)}"
            raise InputError("basis", problem, "give orthonormal rows")
        self.weights = nn.ParameterList([nn.Parameter(basis.detach().clone())])
        self.inner = inner

    @property
    def tau(self) -> float:
        """Temperature of the inner critic."""
        return float(self.inner.tau)

    @tau.setter
    def tau(self, value: float) -> None:
        self.inner.tau = value

    @property
    def orientation(self) -> str:
        """Orientation of the inner critic."""
        return str(self.inner.orientation)

    def forward(self, z: Tensor) -> Tensor:
        """Return values (n,) at points z (n, d)."""
        values: Tensor = self.inner(z @ self.weights[0].T)
        return values

    def lipschitz(self) -> float:
        """Return an upper bound of the Lipschitz constant, from singular values in float64."""
        basis = self.weights[0].detach().cpu().double()
        constant: float = self.inner.lipschitz()
        return float(torch.linalg.matrix_norm(basis, 2)) * ROUND_UP * constant

    @torch.no_grad()
    def retract(self) -> None:
        """Retract the basis to an orthonormal one."""
        self.weights[0].copy_(retract_orthogonal(self.weights[0]))
        self.inner.retract()


@torch.no_grad()
def find_differing_directions(x: Tensor, y: Tensor, generator: torch.Generator) -> Tensor | None:
    """Find orthonormal directions (r, d) in which means or covariances of two samples differ significantly.

    A direction is significant if its difference is `MIN_DIFFERENCE_RATIO` times the largest difference in any
    direction between random halves of all points. Returns None if there is no such direction, or if there are
    more than d / 2 of them, since a subspace does not help then.
    """
    both, count = torch.cat([x, y]).cpu().double(), len(x)
    shift, spread = _moment_differences(both[:count], both[count:])
    max_shift, max_spread = 0.0, 0.0
    for _ in range(RANDOM_SPLITS):
        order = torch.randperm(len(both), generator=generator)
        chance_shift, chance_spread = _moment_differences(both[order[:count]], both[order[count:]])
        max_shift = max(max_shift, float(chance_shift.norm()))
        max_spread = max(max_spread, float(torch.linalg.eigvalsh(chance_spread).abs().max()))
    values, vectors = torch.linalg.eigh(spread)
    directions = vectors[:, values.abs() > MIN_DIFFERENCE_RATIO * max_spread]
    if float(shift.norm()) > MIN_DIFFERENCE_RATIO * max_shift:
        directions = torch.linalg.svd(
            torch.cat([shift[:, None] / shift.norm(), directions], 1), full_matrices=False
        )[0]
    return directions.T.to(x) if 1 <= directions.shape[1] <= both.shape[1] // 2 else None


def _moment_differences(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Return the differences of means and of covariances."""
    return x.mean(0) - y.mean(0), torch.cov(x.T).view(x.shape[1], -1) - torch.cov(y.T).view(x.shape[1], -1)
