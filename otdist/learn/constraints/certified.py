"""Critics that keep their own Lipschitz constraint: the protocol, and functions that use it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from otdist.errors import InputError
from otdist.inputs.arguments import check_number, format_value

MAX_ORTHOGONAL_ERROR = 1e-2  # largest root mean square of a row of W W^T - I, in float32


@runtime_checkable
class CertifiedCritic(Protocol):
    """Module that bounds its own Lipschitz constant and restores its own constraint.

    Such a critic is accepted by :func:`~otdist.learn.fit_wgan` and :class:`~otdist.learn.W1Loss`, alone or as
    a layer of an ``nn.Sequential``, and as a layer by :func:`~otdist.learn.lipschitz_constant`. **Every bound
    that is computed with it relies on its** ``lipschitz()``.

    Notes
    -----
    Optional method: ``matrices()`` returns those of its parameters, of shape (rows, columns), whose rows or
    columns are orthonormal. :class:`~otdist.learn.W1Loss` rotates them instead of adding to them, which is
    faster, and relies on ``retract()`` to remove rounding errors. :func:`~otdist.learn.fit_wgan` gives each a
    learning rate by its size, so that a step turns all by about one angle.

    :class:`~otdist.learn.Critic` takes no modules, since it initialises its critics from the data and writes
    them to files by name.

    Examples
    --------
    >>> import torch
    >>> from torch import nn
    >>> from otdist.learn import CertifiedCritic, lipschitz_constant
    >>> class Rotation(nn.Module):  # of planes, by an angle each
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.angle = nn.Parameter(torch.zeros(1))
    ...     def forward(self, z):
    ...         c, s = self.angle.cos(), self.angle.sin()
    ...         return torch.stack([c * z[:, 0] - s * z[:, 1], s * z[:, 0] + c * z[:, 1]], 1)
    ...     def lipschitz(self):
    ...         return 1.0  # proved on paper
    ...     def retract(self):
    ...         pass  # all angles are rotations
    >>> isinstance(Rotation(), CertifiedCritic)
    True
    >>> net = nn.Sequential(Rotation(), nn.Linear(2, 1))
    >>> round(lipschitz_constant(net) / lipschitz_constant(net[1]), 6)
    1.0
    """

    def lipschitz(self) -> float:
        """Return a proved upper bound of the Lipschitz constant for Euclidean norms, for all points."""
        ...

    def retract(self) -> None:
        """Restore the constraint, in place, after a step of an optimiser."""
        ...


def find_certified_parts(module: nn.Module) -> Iterator[nn.Module]:
    """Iterate over the certified modules within a module, itself included; not over parts of these."""
    if isinstance(module, CertifiedCritic):
        yield module
        return
    for child in module.children():
        yield from find_certified_parts(child)


def is_self_constrained(module: nn.Module) -> bool:
    """Return True if every parameter of a module belongs to a certified part, of which there is one."""
    parts = list(find_certified_parts(module))
    covered = {id(p) for part in parts for p in part.parameters()}
    return bool(parts) and all(id(p) in covered for p in module.parameters())


@torch.no_grad()
def retract_parts(module: nn.Module) -> None:
    """Restore the constraints of the certified modules within a module."""
    for part in find_certified_parts(module):
        assert isinstance(part, CertifiedCritic)
        part.retract()


def read_bound(lipschitz: Callable[[], object], argument: str, name: str) -> float:
    """Return the bound that a module gives; raises InputError unless it is a number from 0 on."""
    value = lipschitz()
    value = value.detach() if isinstance(value, Tensor) else value
    try:
        return check_number(value, name, at_least=0.0)
    except InputError as error:
        problem = f"{name} must return a finite number >= 0, got {format_value(value)}"
        raise InputError(argument, problem, "repair its lipschitz(), or its weights") from error


def get_orthogonal_matrices(module: nn.Module) -> list[nn.Parameter]:
    """Return the parameters that a module names as orthogonal matrices by ``matrices()``, or none.

    Raises
    ------
    InputError
        If they are not matrices among the module's parameters, or not orthogonal.
    """
    own_ids = {id(p) for p in module.parameters()}
    method = getattr(module, "matrices", None)
    if not isinstance(module, CertifiedCritic) or not callable(method):
        return []
    matrices = list(method())
    for p in matrices:
        if not isinstance(p, nn.Parameter) or id(p) not in own_ids or p.ndim != 2:
            problem = f"matrices() must return parameters of two axes, got {type(p).__name__}"
            raise InputError("critic", problem, "return some of its own parameters")
        _require_orthogonal(p)
    return matrices


def _require_orthogonal(p: nn.Parameter) -> None:
    """Raise InputError unless rows or columns are orthonormal, up to float32 rounding of a retraction."""
    matrix = p.detach().cpu().double()
    matrix = matrix if matrix.shape[0] <= matrix.shape[1] else matrix.T
    error = float((matrix @ matrix.T - torch.eye(len(matrix), dtype=torch.float64)).norm())
    if not error <= MAX_ORTHOGONAL_ERROR * math.sqrt(len(matrix)):
        problem = f"matrices() must return orthogonal matrices, got |W W^T - I| = {error:.2g}"
        raise InputError("critic", problem, "let retract() make them orthogonal, or leave them out")
