"""Options of a critic, checked once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch

from otdist.errors import InputError
from otdist.inputs.arguments import check_integer, check_number, check_seconds
from otdist.learn.critics.ascent import has_fast_bfloat16
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
                self._set(name, check_integer(getattr(self, name), name, at_least=2))
        self._set("rng", check_torch_seed(self.rng))
        family = [self.family] if isinstance(self.family, str) else self.family
        is_valid = (
            isinstance(family, Sequence) and len(family) > 0 and all(isinstance(f, str) for f in family)
        )
        condition = "a name or a list of names"
        require_choice(is_valid, "family", self.family, condition, "give a name, or a list of names")
        self._set("max_seconds", check_seconds(self.max_seconds))
        precisions = [AUTO, *PRECISIONS]
        condition = f"one of {precisions}"
        require_choice(
            self.precision in precisions, "precision", self.precision, condition, "use one of them"
        )
        remedy = "give a probability between 0.5 and 1"
        self._set("level", check_number(self.level, "level", above=0.5, remedy=remedy))
        require_choice(self.level < 1, "level", self.level, "< 1", remedy)

    def _set(self, name: str, value: Any) -> None:
        """Store an argument as a Python number, for files and for comparison between processes."""
        object.__setattr__(self, name, value)

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

    def shared_values(self) -> dict[str, Any]:
        """Return the options that all processes must share, which are all but the device."""
        return {name: value for name, value in asdict(self).items() if name != "device"}

    def matmul_dtype(self, device: torch.device) -> torch.dtype:
        """Return the dtype of matrix products in training."""
        if self.precision != AUTO:
            return PRECISIONS[self.precision]
        return torch.bfloat16 if has_fast_bfloat16(device) else torch.float32

    def resolve_device(self) -> torch.device:
        """Return the device to train on."""
        if self.device != "auto":
            try:
                return torch.zeros((), device=self.device).device
            except (RuntimeError, AssertionError) as error:
                raise InputError(
                    "device", f"must be an available device, got {self.device!r} ({error})", "use 'cpu'"
                ) from error
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")


def require_choice(holds: bool, name: str, value: Any, condition: str, remedy: str) -> None:
    """Raise InputError for an option that does not satisfy a condition."""
    if not holds:
        raise InputError(name, f"must be {condition}, got {value!r}", remedy)
