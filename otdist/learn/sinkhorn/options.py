"""Options of entropic transport, checked once."""

from __future__ import annotations

import math
from dataclasses import dataclass
from numbers import Real
from typing import Any

import numpy as np

from otdist.errors import InputError
from otdist.inputs.arguments import Rng, check_integer, check_seed

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


@dataclass(frozen=True)
class Options:
    """Options of :func:`otdist.learn.divergence` and :class:`otdist.learn.SinkhornLoss`, described there."""

    p: float = 1
    eps: float = 0.05
    eps_abs: Any = None
    reach: float | None = None
    penalty: str = "kl"
    n_iter: int = 1000
    tol: float | None = 1e-4
    engine: str = "auto"
    block: int | None = None

    def __post_init__(self) -> None:
        _require(
            _is_number(self.p) and self.p >= 1,
            "p",
            self.p,
            "a finite number >= 1",
            "use 1 or 2, or another finite number >= 1",
        )
        _require(
            _is_number(self.eps) and self.eps > 0,
            "eps",
            self.eps,
            "a finite number > 0",
            "give a share of the mean cost, as 0.05",
        )
        reach = self.reach
        _require(
            reach is None or (_is_number(reach) and reach > 0),
            "reach",
            reach,
            "a finite number > 0, or None",
            "give a distance above 0, in the units of the points, or None for exact marginals",
        )
        _require(
            self.penalty in MARGINAL_PENALTIES, "penalty", self.penalty, "'kl' or 'tv'", "use one of them"
        )
        object.__setattr__(self, "n_iter", check_integer(self.n_iter, "n_iter"))
        tol = self.tol
        _require(
            tol is None or (_is_number(tol) and tol > 0),
            "tol",
            tol,
            "a finite number > 0, or None",
            "give a number above 0, or None",
        )
        if self.block is not None:
            object.__setattr__(self, "block", check_integer(self.block, "block"))


def _is_number(value: Any) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value)


def _require(holds: bool, name: str, value: Any, condition: str, remedy: str) -> None:
    if not holds:
        raise InputError(name, f"must be {condition}, got {value!r}", remedy)
