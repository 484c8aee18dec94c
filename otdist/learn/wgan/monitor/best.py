"""Best check of a run, and the averaged generator of that check."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor, nn

from otdist.learn.wgan.monitor.bracket import standard_error
from otdist.learn.wgan.monitor.check import Check
from otdist.learn.wgan.monitor.stopping import MIN_PROGRESS
from otdist.learn.wgan.state import State

WEIGHTS_PREFIX, ARRAYS_PREFIX = "best.", "check."  # of the names of tensors in a file
ARRAY_NAMES = ("mean", "influence", "lowest")


@dataclass(eq=False)
class CheckArrays:
    """Arrays of the last check, with which the next check is compared.

    Attributes
    ----------
    mean : Tensor or None, shape (d,)
        Mean of the fakes, on the scale of the networks.
    influence : Tensor or None, shape (4, n)
        Derivatives of ``Check.debiased`` by the weights of the points, in the unit of distances.
    lowest : Tensor or None, shape (4, n)
        The same of the check with the lowest ``debiased``.
    """

    mean: Tensor | None = None
    influence: Tensor | None = None
    lowest: Tensor | None = None


@dataclass(eq=False)
class BestGenerator:
    """Averaged generator of the best check so far.

    The best check is the last one whose ``debiased`` exceeds the lowest one by no more than noise: 1 % of the
    distance between samples, or the standard error of the difference of two checks. These share their
    held-out points and latent numbers, so that error is small where the generators are alike.

    Attributes
    ----------
    check : Check or None
        The best check; None before the first check, and in runs of files without it.
    final : Check or None
        The check with the distances of an evaluation at the end of the run; None before.
    lowest : float
        Lowest ``debiased`` of all checks.
    weights : dict of str to Tensor
        State of the averaged generator.
    arrays : CheckArrays
        Arrays of the last check.
    """

    check: Check | None = None
    final: Check | None = None
    lowest: float = math.inf
    weights: dict[str, Tensor] = field(default_factory=dict)
    arrays: CheckArrays = field(default_factory=CheckArrays)

    def update(self, state: State, check: Check) -> None:
        """Keep the generator if the check that was just made is the best one."""
        if check.debiased > self.lowest + self._noise(check):
            return
        if check.debiased < self.lowest:
            self.lowest, self.arrays.lowest = check.debiased, self.arrays.influence
        self.check, self.final = check, None
        self.weights = {name: value.detach().clone() for name, value in state.average.state_dict().items()}

    def load_into(self, average: nn.Module) -> nn.Module:
        """Return a copy of an averaged generator with the weights of the best check."""
        module = copy.deepcopy(average)
        module.load_state_dict(self.weights)
        return module

    def _noise(self, check: Check) -> float:
        """Return the difference of ``debiased`` below which the lowest check and this one are tied."""
        lowest, influence = self.arrays.lowest, self.arrays.influence
        if lowest is None or influence is None or lowest.shape != influence.shape:
            return MIN_PROGRESS * check.estimate
        return max(standard_error((influence - lowest).numpy()), MIN_PROGRESS * check.estimate)

    def tensors(self) -> dict[str, Tensor]:
        """Return weights and arrays by name, for a file."""
        arrays = {ARRAYS_PREFIX + name: getattr(self.arrays, name) for name in ARRAY_NAMES}
        weights = {WEIGHTS_PREFIX + name: value.cpu().contiguous() for name, value in self.weights.items()}
        # Copies, since safetensors refuses shared memory.
        return weights | {name: value.clone() for name, value in arrays.items() if value is not None}

    def metadata(self) -> dict[str, Any]:
        """Return the checks, for a file."""
        checks = {name: getattr(self, name) for name in ("check", "final")}
        return {name: None if check is None else check.to_dict() for name, check in checks.items()}

    @classmethod
    def of(
        cls, metadata: Mapping[str, Any] | None, tensors: Mapping[str, Tensor], history: list[Check]
    ) -> BestGenerator:
        """Read it from a file; one without metadata gives none, so that the last state is used."""
        if metadata is None:
            return cls()
        check, final = (
            None if metadata[name] is None else Check(**metadata[name]) for name in ("check", "final")
        )
        weights = {
            name.removeprefix(WEIGHTS_PREFIX): value
            for name, value in tensors.items()
            if name.startswith(WEIGHTS_PREFIX)
        }
        arrays = CheckArrays(**{name: tensors.get(ARRAYS_PREFIX + name) for name in ARRAY_NAMES})
        lowest = min((check.debiased for check in history), default=math.inf)
        return cls(check, final, lowest, weights, arrays)
