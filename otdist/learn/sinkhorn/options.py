"""Options of entropic transport, checked once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypedDict

import numpy as np

from otdist.errors import InputError
from otdist.inputs.arguments import Rng, check_choice, check_integer, check_number, check_seed, set_option

if TYPE_CHECKING:
    from torch import Tensor

MARGINAL_PENALTIES = ("kl", "tv")
SEED_LIMIT = 2**60  # seeds are multiplied by small numbers, and torch has 64 bits


def check_torch_seed(rng: Rng, name: str = "rng") -> int:
    """Read a seed for torch's generators as an integer; a NumPy generator gives its next number."""
    seed = check_seed(rng, name)
    if isinstance(rng, np.random.Generator):
        return seed % SEED_LIMIT
    if seed >= SEED_LIMIT:
        raise InputError(name, f"must be below 2**60, got {seed}", "use a smaller seed")
    return seed


Penalty = Literal["kl", "tv"]
Engine = Literal["auto", "torch", "compile", "triton"]


class DivergenceOptions(TypedDict, total=False):
    """Keyword arguments of :class:`Options`."""

    p: float
    eps: float
    eps_abs: float | Tensor | None
    reach: float | None
    penalty: Penalty
    n_iter: int
    tol: float | None
    engine: Engine
    block: int | None


@dataclass(frozen=True)
class Options:
    """Options of :func:`otdist.learn.divergence` and :class:`otdist.learn.SinkhornLoss`, described there."""

    p: float = 1
    eps: float = 0.05
    eps_abs: float | Tensor | None = None
    reach: float | None = None
    penalty: Penalty = "kl"
    n_iter: int = 1000
    tol: float | None = 1e-4
    engine: Engine = "auto"
    block: int | None = None

    def __post_init__(self) -> None:
        remedy = "use 1 or 2, or another finite number >= 1"
        set_option(self, "p", check_number(self.p, "p", at_least=1, remedy=remedy))
        remedy = "give a share of the mean cost, as 0.05"
        set_option(self, "eps", check_number(self.eps, "eps", above=0, remedy=remedy))
        if self.reach is not None:
            remedy = "give a distance above 0, in the units of the points, or None for exact marginals"
            set_option(self, "reach", check_number(self.reach, "reach", above=0, remedy=remedy))
        check_choice(self.penalty, "penalty", MARGINAL_PENALTIES)
        set_option(self, "n_iter", check_integer(self.n_iter, "n_iter"))
        if self.tol is not None:
            remedy = "give a number above 0, or None"
            set_option(self, "tol", check_number(self.tol, "tol", above=0, remedy=remedy))
        if self.block is not None:
            set_option(self, "block", check_integer(self.block, "block"))
