"""What the caller may choose about entropic transport, judged once."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from otdist.errors import InputError

PENALTIES = ("kl", "tv")


@dataclass(frozen=True)
class Options:
    """Choices for :func:`otdist.learn.divergence` and :class:`otdist.learn.SinkhornLoss`; described there."""

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
            _number(self.p) and self.p >= 1, "p", self.p, "use 1 or 2, or another finite number from 1 on"
        )
        _require(
            _number(self.eps) and self.eps > 0, "eps", self.eps, "give a share of the mean cost, as 0.05"
        )
        reach = self.reach
        _require(
            reach is None or (_number(reach) and reach > 0),
            "reach",
            reach,
            "give a distance above 0, in the units of the points, or None for exact marginals",
        )
        _require(self.penalty in PENALTIES, "penalty", self.penalty, "use 'kl' or 'tv'")
        _require(
            isinstance(self.n_iter, int) and self.n_iter >= 1,
            "n_iter",
            self.n_iter,
            "give a whole number from 1 on",
        )
        tol = self.tol
        _require(tol is None or (_number(tol) and tol > 0), "tol", tol, "give a number above 0, or None")
        block = self.block
        _require(block is None or block >= 1, "block", block, "give a number of pairs from 1 on, or None")


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)


def _require(holds: bool, name: str, value: Any, remedy: str) -> None:
    if not holds:
        raise InputError(name, f"{value!r} cannot be used", remedy)
