"""A caller's own critic, held by itself or by a constraint by name."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from otdist.errors import InputError
from otdist.learn.constraints import checked_critic, lipschitz_constant, spectral_norm
from otdist.learn.constraints.checks import at_rest, scores
from otdist.learn.critics.anchors import Anchors
from otdist.learn.critics.folds import Folds
from otdist.learn.critics.orthogonal import Orthogonal
from otdist.learn.critics.penalised import CONSTRAINTS, UP, Penalised
from otdist.learn.critics.pieces import Pieces
from otdist.learn.critics.subspace import Subspace


class Own(Penalised):
    """Network of the caller, on points in the caller's shape.

    Parameters
    ----------
    network : Module
        Gives (n,) or (n, 1) for (n, *shape). With methods ``lipschitz()`` and ``retract()`` it holds itself.
    shape : tuple of int
        Shape of one point.
    constraint : str
        What holds it otherwise: one of CONSTRAINTS. "spectral" changes it in place.
    generator : torch.Generator
        For the constraint.
    """

    def __init__(self, network: Any, shape: tuple[int, ...], constraint: Any, generator: Any) -> None:
        nn.Module.__init__(self)
        self.network, self.shape, self.constraint = network, shape, constraint
        self.seed, self.draws = generator.initial_seed(), 0
        if constraint == "spectral":
            spectral_norm(network, shape, generator=generator)
            self.lipschitz()  # a layer that has no constant is refused now
        self.retract()

    @property
    def certain(self) -> bool:
        """Whether values are divided by the constant."""
        return self.constraint in (None, "spectral")

    def forward(self, z: Tensor) -> Tensor:
        """Values (n,) at points z (n, d)."""
        return self.network(z.view(len(z), *self.shape)).reshape(-1)

    def lipschitz(self) -> float:
        """Bound of the constant: what the network says, or computed layer by layer."""
        if self.constraint is None:
            return float(self.network.lipschitz())
        with at_rest(self.network):  # where it has dropout
            return lipschitz_constant(self.network, self.shape) * UP

    @torch.no_grad()
    def retract(self) -> None:
        """Restore the constraint."""
        if self.constraint is None:
            self.network.retract()
        super().retract()


def own_critic(critic: Any, shape: tuple[int, ...], family: str | None, generator: Any) -> Any:
    """Critic to be trained: the caller's, checked, or the caller's under a constraint.

    Raises
    ------
    InputError
        If it is no critic (:func:`otdist.learn.checked_critic`), does not take such points, is not float32,
        or if ``family`` cannot hold it.
    """
    ours = isinstance(critic, Anchors | Folds | Orthogonal | Pieces | Subspace)
    shape = (torch.Size(shape).numel(),) if ours else shape
    for name, p in critic.named_parameters():
        if p.dtype != torch.float32:
            raise InputError("critic", f"parameter {name!r} is {p.dtype}", "call critic.float()")
    try:
        if ours:
            scores(critic, torch.zeros(2, *shape, device=next(critic.parameters()).device))
        else:
            checked_critic(critic, shape)
    except RuntimeError as error:
        what = f"does not take points of shape {shape}: {str(error).splitlines()[0]}"
        raise InputError("critic", what, "give one that does") from error
    if ours:
        return critic
    if hasattr(critic, "lipschitz") and hasattr(critic, "retract"):
        return Own(critic, shape, None, generator)
    return Own(critic, shape, family or "spectral", generator)


def require_holdable(critic: Any, family: str | None) -> None:
    """Raise InputError where a critic and a family do not go together."""
    if not isinstance(critic, nn.Module):
        raise InputError("critic", f"is {type(critic).__name__}, not a module", "give a torch.nn.Module")
    itself = hasattr(critic, "lipschitz") and hasattr(critic, "retract")
    if itself and family is not None:
        raise InputError("family", f"{family!r}, and the critic holds itself", "leave one of them out")
    if family is not None and family not in CONSTRAINTS:
        raise InputError(
            "family", f"{family!r} is a critic of its own, no constraint", f"use one of {list(CONSTRAINTS)}"
        )
