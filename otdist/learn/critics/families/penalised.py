"""Networks under the constraints of Wasserstein GANs, none of which is exact, for comparison."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from otdist.learn.constraints import clip_weights, gradient_penalty, lipschitz_constant, spectral_norm

Constraint = Literal["gp", "lp", "clip", "spectral"]
CONSTRAINTS: tuple[Constraint, ...] = ("gp", "lp", "clip", "spectral")
PENALTY_WEIGHT = 10.0  # in units of the spread of distances
CLIP_BOUND = 0.04  # largest absolute value of a clipped weight
ROUND_UP = 1.0 + 1e-12


class Penalised(nn.Module):
    """ReLU network whose gradient norm is kept near 1 by a penalty, weight clipping or spectral norms.

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
        Random generator for the initial weights and for the points of the penalty.

    Notes
    -----
    :meth:`lipschitz` is the product of the layers' norms, a proved bound that is often far above the true
    constant. Only "spectral" keeps it near 1, so values are divided by it only there.

    Examples
    --------
    >>> import torch
    >>> from otdist.learn.critics import Penalised
    >>> critic = Penalised(2, "spectral", generator=torch.Generator().manual_seed(0))
    >>> critic(torch.zeros(3, 2)).shape
    torch.Size([3])
    """

    network: nn.Module
    seed: int
    draws: int

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
                for p in linear.parameters():  # torch's default initialisation, from the given generator
                    p.uniform_(-(cols**-0.5), cols**-0.5, generator=generator)
            layers += [linear, nn.ReLU()]
        self.network = nn.Sequential(*layers[:-1])
        self.constraint: str | None = constraint
        # A seed instead of the generator, since modules are copied when a state is stored.
        self.seed = 0 if generator is None else generator.initial_seed()
        self.draws = 0
        if constraint == "spectral":
            spectral_norm(self.network, generator=generator)
        self.retract()

    @property
    def is_certified(self) -> bool:
        """Return True if values are divided by the Lipschitz constant."""
        return self.constraint == "spectral"

    def forward(self, z: Tensor) -> Tensor:
        """Return values (n,) at points z (n, d)."""
        return self.network(z)[:, 0]

    def penalty(self, z: Tensor) -> Tensor | None:
        """Return the gradient penalty on a batch whose first half are points of x, or None."""
        if self.constraint not in ("gp", "lp"):
            return None
        x, y = z.chunk(2)
        sided = "two" if self.constraint == "gp" else "one"
        self.draws += 1
        if not len(z):  # a process may have no rows
            return None
        place_generator = torch.Generator(z.device).manual_seed(self.seed + self.draws)
        return gradient_penalty(self, x, y, weight=PENALTY_WEIGHT, sided=sided, generator=place_generator)

    def lipschitz(self) -> float:
        """Return an upper bound of the Lipschitz constant, from singular values in float64."""
        return lipschitz_constant(self.network) * ROUND_UP

    @torch.no_grad()
    def retract(self) -> None:
        """Clip the weights if the constraint is "clip"."""
        if self.constraint == "clip":
            clip_weights(self.network, CLIP_BOUND)
