"""Options of a critic, checked once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch

from otdist.errors import InputError
from otdist.inputs.arguments import (
    check_choice,
    check_integer,
    check_number,
    check_seconds,
    format_value,
    set_option,
)
from otdist.learn.critics.ascent import has_fast_bfloat16
from otdist.learn.devices import resolve_device
from otdist.learn.sinkhorn.options import check_torch_seed

DEFAULT_SECONDS = 30.0  # training time if neither time nor steps are given
PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16}
AUTO = "auto"


@dataclass(frozen=True)
class Settings:
    """Options of training, described at :class:`otdist.learn.Critic`."""

    family: str | Sequence[str] = "auto"
    anchors: int = 512
    batch: int = 1024
    max_seconds: float | None = None
    steps: int | None = None
    rng: Any = 0
    device: str = "auto"
    precision: str = "auto"
    level: float = 0.95

    def __post_init__(self) -> None:
        for name in ("anchors", "batch", "steps"):
            if name != "steps" or self.steps is not None:
                set_option(self, name, check_integer(getattr(self, name), name, at_least=2))
        set_option(self, "rng", check_torch_seed(self.rng))
        family = [self.family] if isinstance(self.family, str) else self.family
        if not isinstance(family, Sequence) or not family or not all(isinstance(f, str) for f in family):
            problem = f"must be a name or a list of names, got {format_value(self.family)}"
            raise InputError("family", problem, "give a name, or a list of names")
        set_option(self, "max_seconds", check_seconds(self.max_seconds))
        check_choice(self.precision, "precision", (AUTO, *PRECISIONS))
        remedy = "give a probability between 0.5 and 1"
        set_option(self, "level", check_number(self.level, "level", above=0.5, below=1, remedy=remedy))

    @property
    def families(self) -> tuple[str, ...]:
        """Requested families; empty for "auto"."""
        if self.family == "auto":
            return ()
        return (self.family,) if isinstance(self.family, str) else tuple(self.family)

    def families_for(self, metric: str) -> tuple[str, ...]:
        """Return the families to train; "auto" omits "pieces", since anchors are better in few columns."""
        if self.families:
            return self.families
        return ("anchors", "orthogonal") if metric == "euclidean" else ("anchors",)

    def shared_values(self) -> dict[str, object]:
        """Return the options that all processes must share, which are all but the device."""
        return {name: value for name, value in asdict(self).items() if name != "device"}

    def matmul_dtype(self, device: torch.device) -> torch.dtype:
        """Return the dtype of matrix products in training."""
        if self.precision != AUTO:
            return PRECISIONS[self.precision]
        return torch.bfloat16 if has_fast_bfloat16(device) else torch.float32

    def resolve_device(self) -> torch.device:
        """Return the device to train on."""
        return resolve_device(self.device)
