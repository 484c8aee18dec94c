"""Critics that look at few directions only: those in which two samples differ."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from otdist.errors import InputError
from otdist.learn.critics.orthogonal import UP, retracted

CLEAR = 1.5  # how far a difference has to stand out from those of random halves
HALVINGS = 3  # of all points, from which chance is known


class Subspace(nn.Module):
    """Critic of the points' coordinates in a subspace.

    Parameters
    ----------
    basis : Tensor, shape (r, d)
        Orthonormal directions; they are trained along.
    inner : Module
        Critic of r columns: values, ``lipschitz()``, ``retract()``, ``poles`` and a temperature ``tau``.

    Notes
    -----
    A projection moves no two points apart, so the constant is at most that of the inner critic times the
    largest singular value of the basis, computed in float64. What is to be learned has r columns and not d:
    two laws that differ along one of 128 directions by a zigzag are met to a percent, and to a twentieth by
    critics of all columns in the same time.

    Examples
    --------
    >>> import torch
    >>> from otdist.learn.critics import Anchors, Subspace
    >>> critic = Subspace(torch.eye(5)[:1], Anchors(torch.zeros(1, 1), tau=1e-3))
    >>> round(critic.lipschitz(), 6), round(critic(torch.tensor([[3.0, 7.0, 7.0, 7.0, 7.0]])).item(), 4)
    (1.0, -3.0)
    """

    def __init__(self, basis: Tensor, inner: nn.Module) -> None:
        super().__init__()
        if basis.ndim != 2 or not 1 <= len(basis) <= basis.shape[1]:
            raise InputError("basis", f"has shape {tuple(basis.shape)}", "give (r, d) with r from 1 to d")
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
    def poles(self) -> str:
        """Which poles the inner critic has."""
        return str(self.inner.poles)

    def forward(self, z: Tensor) -> Tensor:
        """Values (n,) at points z (n, d)."""
        values: Tensor = self.inner(z @ self.weights[0].T)
        return values

    def lipschitz(self) -> float:
        """Bound of the constant, from singular values in float64, rounded up."""
        basis = self.weights[0].detach().double().cpu()
        constant: float = self.inner.lipschitz()
        return float(torch.linalg.matrix_norm(basis, 2)) * UP * constant

    @torch.no_grad()
    def retract(self) -> None:
        """Bring the basis back to an orthonormal one."""
        self.weights[0].copy_(retracted(self.weights[0]))
        self.inner.retract()


@torch.no_grad()
def differing(x: Tensor, y: Tensor, generator: torch.Generator) -> Tensor | None:
    """Orthonormal directions (r, d) in which mean or covariance of two samples differ, beyond chance.

    None where there are none, or more than half of all columns: then a subspace is no help. Chance is known
    from halves of all points, drawn at random: directions count where their difference is `CLEAR` times the
    largest of any direction there.
    """
    both, count = torch.cat([x, y]).double().cpu(), len(x)
    shift, spread = _difference(both[:count], both[count:])
    far, wide = 0.0, 0.0
    for _ in range(HALVINGS):
        order = torch.randperm(len(both), generator=generator)
        by_chance, within = _difference(both[order[:count]], both[order[count:]])
        far = max(far, float(by_chance.norm()))
        wide = max(wide, float(torch.linalg.eigvalsh(within).abs().max()))
    values, vectors = torch.linalg.eigh(spread)
    found = vectors[:, values.abs() > CLEAR * wide]
    if float(shift.norm()) > CLEAR * far:
        found = torch.linalg.svd(torch.cat([shift[:, None] / shift.norm(), found], 1), full_matrices=False)[0]
    return found.T.to(x) if 1 <= found.shape[1] <= both.shape[1] // 2 else None


def _difference(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Differences of means and of covariances."""
    return x.mean(0) - y.mean(0), torch.cov(x.T).view(x.shape[1], -1) - torch.cov(y.T).view(x.shape[1], -1)
