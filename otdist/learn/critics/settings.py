"""What the caller may choose about a critic, judged once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch

from otdist.errors import InputError
from otdist.learn.critics.ascent import quick

SECONDS = 30.0  # of training, where nothing else is asked for
PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16}
AUTO = "auto"


@dataclass(frozen=True)
class Settings:
    """How critics are trained; described at :class:`otdist.learn.Critic`."""

    family: str | Sequence[str] = "auto"
    anchors: int = 512
    batch: int = 1024
    max_seconds: float | None = None
    steps: int | None = None
    rng: int = 0
    device: str = "auto"
    precision: str = "auto"
    level: float = 0.95

    def __post_init__(self) -> None:
        for name in ("anchors", "batch"):
            require(_whole(getattr(self, name)), name, getattr(self, name), "give a whole number from 2 on")
        family = [self.family] if isinstance(self.family, str) else self.family
        fits = isinstance(family, Sequence) and len(family) > 0 and all(isinstance(f, str) for f in family)
        require(fits, "family", self.family, "give a name, or a list of names")
        steps, seconds = self.steps, self.max_seconds
        require(steps is None or _whole(steps), "steps", steps, "give a whole number from 2 on, or None")
        number = isinstance(seconds, int | float | np.number) and seconds > 0
        require(seconds is None or number, "max_seconds", seconds, "give a time in seconds, or None")
        require(isinstance(self.rng, int | np.integer), "rng", self.rng, "give a whole number as seed")
        precisions = [AUTO, *PRECISIONS]
        require(self.precision in precisions, "precision", self.precision, f"use one of {precisions}")
        share = isinstance(self.level, float | np.floating) and 0.5 < self.level < 1
        require(share, "level", self.level, "give a probability between 0.5 and 1")

    @property
    def families(self) -> tuple[str, ...]:
        """Kinds of critics that are asked for."""
        if self.family == "auto":
            return ()
        return (self.family,) if isinstance(self.family, str) else tuple(self.family)

    def chosen(self, metric: str) -> tuple[str, ...]:
        """Kinds that enter the race: "auto" leaves out pieces, which anchors beat in few columns."""
        if self.families:
            return self.families
        return ("anchors", "orthogonal") if metric == "euclidean" else ("anchors",)

    def alike(self) -> dict[str, Any]:
        """What has to be the same on all processes; each may have a device of its own."""
        return {name: value for name, value in asdict(self).items() if name != "device"}

    def products(self, device: torch.device) -> torch.dtype:
        """In which numbers networks are multiplied during training."""
        if self.precision != AUTO:
            return PRECISIONS[self.precision]
        return torch.bfloat16 if quick(device) else torch.float32

    def where(self) -> torch.device:
        """Device to train on."""
        if self.device != "auto":
            try:
                return torch.zeros((), device=self.device).device
            except (RuntimeError, AssertionError) as error:
                raise InputError(
                    "device", f"{self.device!r} is not to be had: {error}", "use 'cpu'"
                ) from error
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")


def _whole(value: Any) -> bool:
    return isinstance(value, int | np.integer) and not isinstance(value, bool) and bool(value >= 2)


def require(holds: bool, name: str, value: Any, remedy: str) -> None:
    """Raise InputError for a choice that means nothing."""
    if not holds:
        raise InputError(name, f"{value!r} cannot be used", remedy)
