"""How a generator is trained: every choice, judged once."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal

import torch

from otdist.errors import InputError

OBJECTIVES = ("w1", "gan", "saturating", "hinge")
CONSTRAINTS = ("orthogonal", "spectral", "lp", "gp", "clip", "none")
PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16}
# In units of the spread of the data. The literature's 10 is for pixels; a critic of few columns stays flat.
PENALTIES = {"gp": 1.0, "lp": 1.0}
NAMES: dict[str, tuple[Any, ...]] = {
    "objective": OBJECTIVES,
    "constraint": (None, *CONSTRAINTS),
    "precision": tuple(PRECISIONS),
    "scale": ("auto", "common", "columns"),
    "stop": (True, False),
}
COUNTS = {"n_critic": 1, "batch_size": 2, "packing": 1, "check_every": 1, "check_points": 16, "latent": 1}
COUNTS |= {"width": 2}
FREE = (("n_critic", "auto"), ("n_critic", None), ("latent", None), ("width", None))
RANGES = {"learning_rate": math.inf, "critic_rate": math.inf, "penalty": math.inf, "held_out": 1.0}
RANGES |= {"average": 1.0, "decay_from": 1.0}
PENALISED = 3  # critic steps with a gradient penalty: with fewer, and quicker ones, the ring is not found
AUTO = 1  # critic steps: more cost time and bring a generator no further; "auto" begins with it


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Choices of a run; all are written into its files.

    Attributes
    ----------
    objective : {"w1", "gan", "saturating", "hinge"}
        What critic and generator play for: the Wasserstein distance, the classic game with the generator's
        non-saturating or saturating loss, the hinge. Only "w1" has a distance to report.
    constraint : {"orthogonal", "spectral", "lp", "gp", "clip", "none"}, optional
        What keeps the critic's slopes at 1: orthogonal layers and spectral norms, each with a constant that
        is computed; a one-sided or two-sided gradient penalty; clipped weights. None: "orthogonal", or
        "spectral" where the critic is the caller's own module.
    n_critic : int or "auto", optional
        Steps of the critic for one of the generator. None: 1, and 3 with a gradient penalty, which holds the
        critic back. "auto": more while further steps would raise its gap on held-out points by much, fewer
        where they would not.
    batch_size : int
        Points of each kind in a step, of all processes together.
    latent : int, optional
        Numbers that the generator is given. None: by the size of a point.
    width : int, optional
        Units of the hidden layers. None: 64 for points of up to 16 numbers, else 256.
    learning_rate, critic_rate : float, optional
        Steps of Adam, with betas (0, 0.9). None: 0.256 by ``width``: 4e-3 for 64 units, 1e-3 for 256; 1e-3
        with a gradient penalty, for networks of your own, and for generators of images of 12 x 12 pixels or
        more.
    decay_from : float
        Share of the run after which both fall linearly to a hundredth.
    average : float
        Decay of the average of the generator's weights, which is what is sampled.
    packing : int
        Points that the critic judges together, against collapse (Lin et al. 2018).
    penalty : float, optional
        Weight of "gp" or "lp" in units of the spread of the data; None: 1. Bound of "clip" is 0.01.
    scale : {"auto", "common", "columns"}
        Whether one unit is used for all numbers of a point, or one for each column. "auto": each for tables
        with column names, else one.
    held_out : float
        Share of the data that no step sees.
    check_every : int
        Steps of the generator between two checks.
    check_points : int
        Points of each side in a check.
    stop : bool
        Whether to end by itself when the distance to held-out data no longer falls.
    precision : {"float32", "bfloat16"}
        Of the products in training; penalties and checks are computed in float32 and float64.
    """

    objective: str = "w1"
    constraint: str | None = None
    n_critic: int | Literal["auto"] | None = None
    batch_size: int = 256
    latent: int | None = None
    width: int | None = None
    learning_rate: float | None = None
    critic_rate: float | None = None
    decay_from: float = 0.3
    average: float = 0.999
    packing: int = 1
    penalty: float | None = None
    scale: Literal["auto", "common", "columns"] = "auto"
    held_out: float = 0.2
    check_every: int = 500
    check_points: int = 512
    stop: bool = True
    precision: str = "float32"

    def __post_init__(self) -> None:
        for name, known in NAMES.items():
            _one_of(name, getattr(self, name), known)
        for name, least in COUNTS.items():
            value = getattr(self, name)
            if (name, value) not in FREE:
                _whole(name, value, least)
        for name, most in RANGES.items():
            if getattr(self, name) is not None:
                _within(name, getattr(self, name), 0.0, most)
        self._require_fit()

    def _require_fit(self) -> None:
        """Raise InputError for settings that do not go together."""
        if self.batch_size % self.packing:
            what = f"{self.batch_size} is no multiple of packing={self.packing}"
            raise InputError("batch_size", what, "use a multiple")
        if self.objective == "w1" and self.constraint == "none":
            raise InputError("constraint", "W1 has no critic without one", "use one of the others")
        if self.width is not None and self.width % 2:
            raise InputError("width", f"{self.width} is odd", "use an even number")

    @property
    def weight(self) -> float:
        """Weight of the gradient penalty."""
        return PENALTIES[str(self.constraint)] if self.penalty is None else self.penalty

    @property
    def certain(self) -> bool:
        """Whether the critic's constant is computed, so that its gap is a bound."""
        return self.constraint in ("orthogonal", "spectral")

    def to_dict(self) -> dict[str, Any]:
        """Names and values, for files."""
        return asdict(self)


def settings_of(options: Mapping[str, Any], own_critic: bool) -> Settings:
    """Settings from keyword arguments; a name that is unknown is an error with the known ones."""
    known = [field.name for field in fields(Settings)]
    for name in options:
        if name not in known:
            raise InputError(name, "is no setting", f"use some of {known}")
    given = dict(options)
    if given.get("constraint") is None:
        given["constraint"] = "spectral" if own_critic else "orthogonal"
    if own_critic and given["constraint"] == "orthogonal":
        what = "needs layers of its own, your critic has others"
        raise InputError("constraint", f"'orthogonal' {what}", "use 'spectral', or leave critic out")
    return Settings(**given)


def _one_of(name: str, value: Any, known: tuple[Any, ...]) -> None:
    if value not in known:
        raise InputError(name, f"{value!r} is unknown", f"use one of {list(known)}")


def _whole(name: str, value: Any, least: int) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise InputError(name, f"{value!r} is no number of them", f"give a whole number from {least} on")


def _within(name: str, value: Any, low: float, high: float) -> None:
    if not isinstance(value, int | float) or isinstance(value, bool) or not low < value < high:
        raise InputError(name, f"{value!r} is not between {low:g} and {high:g}", "choose one that is")
