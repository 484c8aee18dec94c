"""Critics of the caller, with their own constraint or one by name."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from otdist.errors import InputError, get_reason
from otdist.inputs.arguments import check_choice
from otdist.learn.constraints import CertifiedCritic, checked_critic, lipschitz_constant, spectral_norm
from otdist.learn.constraints.certified import (
    find_certified_parts,
    get_orthogonal_matrices,
    is_self_constrained,
    read_bound,
    retract_parts,
)
from otdist.learn.constraints.checks import critic_scores, eval_mode, refuse_computed_weights
from otdist.learn.critics import LIBRARY_CRITICS
from otdist.learn.critics.families.penalised import CONSTRAINTS, ROUND_UP, Penalised
from otdist.learn.modes import require_module


class UserCritic(Penalised):
    """Network of the caller, on points of the caller's shape.

    Parameters
    ----------
    network : Module
        Map from (n, *shape) to (n,) or (n, 1). Methods ``lipschitz()`` and ``retract()`` are its constraint.
    shape : tuple of int
        Shape of one point.
    constraint : str or None
        Constraint otherwise, one of CONSTRAINTS. "spectral" changes the network in place.
    generator : torch.Generator
        Random generator of the constraint.
    """

    shape: tuple[int, ...]

    def __init__(
        self,
        network: nn.Module,
        shape: tuple[int, ...],
        constraint: str | None,
        generator: torch.Generator,
    ) -> None:
        nn.Module.__init__(self)
        self.network, self.shape, self.constraint = network, shape, constraint
        self.seed, self.draws = generator.initial_seed(), 0
        if constraint == "spectral":
            spectral_norm(network, shape, generator=generator)
            self.lipschitz()  # refuses layers without a known constant
        self.retract()

    @property
    def is_certified(self) -> bool:
        """Return True if values are divided by the Lipschitz constant."""
        return self.constraint in (None, "spectral")

    def forward(self, z: Tensor) -> Tensor:
        """Return values (n,) at points z (n, d)."""
        return self.network(z.view(len(z), *self.shape)).reshape(-1)

    def lipschitz(self) -> float:
        """Return an upper bound of the Lipschitz constant, by the network itself or layer by layer."""
        if isinstance(self.network, CertifiedCritic):
            return read_bound(self.network.lipschitz, "critic", "lipschitz()")
        with eval_mode(self.network):  # for dropout
            return lipschitz_constant(self.network, self.shape) * ROUND_UP

    @torch.no_grad()
    def retract(self) -> None:
        """Restore the constraint."""
        if self.is_certified:
            retract_parts(self.network)
        super().retract()

    def matrices(self) -> list[nn.Parameter]:
        """Return the parameters that the network names as orthogonal matrices."""
        parts = find_certified_parts(self.network)
        return [matrix for part in parts for matrix in get_orthogonal_matrices(part)]


def prepare_user_critic(
    critic: nn.Module, shape: tuple[int, ...], family: str | None, generator: torch.Generator
) -> nn.Module:
    """Check the caller's critic, and apply its constraint.

    Raises
    ------
    InputError
        If it is not a critic (:func:`otdist.learn.checked_critic`), does not take such points, is not
        float32, or if ``family`` cannot constrain it.
    """
    is_library_critic = isinstance(critic, LIBRARY_CRITICS)
    shape = (torch.Size(shape).numel(),) if is_library_critic else shape
    for name, p in critic.named_parameters():
        if p.dtype != torch.float32:
            raise InputError(
                "critic", f"must be float32, parameter {name!r} is {p.dtype}", "call critic.float()"
            )
    try:
        if is_library_critic:
            critic_scores(critic, torch.zeros(2, *shape, device=next(critic.parameters()).device))
        else:
            checked_critic(critic, shape)
    except RuntimeError as error:
        problem = f"must take points of shape {shape}, got an error: {get_reason(error)}"
        raise InputError("critic", problem, "give such a critic") from error
    if is_library_critic:
        return critic
    if is_self_constrained(critic):
        return UserCritic(critic, shape, None, generator)
    if family in (None, "spectral", "clip"):
        refuse_computed_weights("critic", critic)
    return UserCritic(critic, shape, family or "spectral", generator)


def require_compatible(critic: object, family: str | None) -> None:
    """Raise InputError if critic and family are incompatible."""
    require_module("critic", critic)
    if isinstance(critic, nn.Module) and is_self_constrained(critic) and family is not None:
        problem = f"must be None for a critic with lipschitz() and retract(), got {family!r}"
        raise InputError("family", problem, "leave it out")
    if family is not None:
        check_choice(family, "family", CONSTRAINTS, remedy="use 'gp' for a critic of yours")
