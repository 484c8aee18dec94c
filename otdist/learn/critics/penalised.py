"""The constraints that Wasserstein GANs are trained with, for use and for comparison: none is exact."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from otdist.learn.constraints import clip_weights, gradient_penalty, lipschitz_constant, spectral_norm

Constraint = Literal["gp", "lp", "clip", "spectral"]
CONSTRAINTS: tuple[Constraint, ...] = ("gp", "lp", "clip", "spectral")
WEIGHT = 10.0  # of the penalty, in units of the spread of distances
BOUND = 0.04  # of clipped weights
UP = 1.0 + 1e-12


class Penalised(nn.Module):
    """ReLU network whose slopes are held near 1 by a penalty, by clipping or by spectral norms.

    Parameters
    ----------
    d : int
        Columns of the points.
    constraint : {"gp", "lp", "clip", "spectral"}
        Two-sided gradient penalty (Gulrajani et al. 2017), one-sided (Petzka et al. 2018), weights clipped to
        0.04 (Arjovsky et al. 2017), each weight divided by its largest singular value (Miyato et al. 2018).
    width : int, optional
        Units of the two hidden layers. None: the larger of 128 and 2 d.
    generator : torch.Generator, optional
        For the first weights and for the places of the penalty.

    Notes
    -----
    :meth:`lipschitz` is the product of the layers' norms: proved, and often far above the true constant. Only
    "spectral" keeps it at 1, so that only there values are divided by it.

    Examples
    --------
    >>> import torch
    >>> from otdist.learn.critics import Penalised
    >>> critic = Penalised(2, "spectral", generator=torch.Generator().manual_seed(0))
    >>> critic(torch.zeros(3, 2)).shape
    torch.Size([3])
    """

    def __init__(
        self,
        d: int,
        constraint: Constraint,
        *,
        width: int | None = None,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        units = max(2 * d, 128) if width is None else width
        sizes = (d, units, units, 1)
        layers: list[nn.Module] = []
        for rows, cols in zip(sizes[1:], sizes[:-1], strict=True):
            linear = nn.utils.skip_init(nn.Linear, cols, rows)
            with torch.no_grad():
                for p in linear.parameters():  # torch's own start, from the given generator
                    p.uniform_(-(cols**-0.5), cols**-0.5, generator=generator)
            layers += [linear, nn.ReLU()]
        self.network = nn.Sequential(*layers[:-1])
        self.constraint: Constraint = constraint
        # A seed, not the generator: modules are copied whenever a state is kept.
        self.seed = 0 if generator is None else generator.initial_seed()
        self.draws = 0
        if constraint == "spectral":
            spectral_norm(self.network, generator=generator)
        self.retract()

    @property
    def certain(self) -> bool:
        """Whether values are divided by the constant."""
        return self.constraint == "spectral"

    def forward(self, z: Tensor) -> Tensor:
        """Values (n,) at points z (n, d)."""
        return self.network(z)[:, 0]

    def penalty(self, z: Tensor) -> Tensor | None:
        """Price on slopes for a batch whose first half are points of x, if there is one."""
        if self.constraint not in ("gp", "lp"):
            return None
        x, y = z.chunk(2)
        sided = "two" if self.constraint == "gp" else "one"
        self.draws += 1
        places = torch.Generator(z.device).manual_seed(self.seed + self.draws)
        return gradient_penalty(self, x, y, weight=WEIGHT, sided=sided, generator=places)

    def lipschitz(self) -> float:
        """Bound of the constant, from singular values in float64."""
        return lipschitz_constant(self.network) * UP

    @torch.no_grad()
    def retract(self) -> None:
        """Clip the weights, if that is the constraint."""
        if self.constraint == "clip":
            clip_weights(self.network, BOUND)
