"""Snapshots: points of the generator for the same few latent numbers during training."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from otdist.learn.wgan.state import State

MAX_SNAPSHOTS = 8  # snapshots that are kept
MAX_SNAPSHOT_POINTS, MIN_SNAPSHOT_POINTS = 64, 16  # points of a snapshot
MAX_SNAPSHOT_ENTRIES = 2**16  # numbers of a snapshot, if points are long
SNAPSHOT_SEED = 6  # differs from the seeds of training and of the initial weights
TENSOR_PREFIX = "strip."


@dataclass(eq=False)
class Snapshots:
    """Points of the averaged generator at some checks, for the same latent numbers.

    Attributes
    ----------
    checks : list of int
        Indices of the checks, 0 before training: the last one, and earlier ones at equal distances.
    steps : list of int
        Steps of the generator.
    points : list of Tensor, shape (n, d)
        Points on the scale of the networks.
    """

    checks: list[int] = field(default_factory=list)
    steps: list[int] = field(default_factory=list)
    points: list[Tensor] = field(default_factory=list)

    def add(self, state: State, check: int) -> None:
        """Add a snapshot; keep only every second, fourth, ... of the earlier ones if there are too many."""
        interval = 1
        while (check - 1) // interval > MAX_SNAPSHOTS - 2:
            interval *= 2
        kept_rows = [k for k, values in enumerate(self.checks) if values < check and values % interval == 0]
        for values in (self.checks, self.steps, self.points):
            values[:] = [values[k] for k in kept_rows]
        self.checks.append(check)
        self.steps.append(state.step)
        self.points.append(_draw_points(state))

    def tensors(self) -> dict[str, Tensor]:
        """Return the points by name, for a file."""
        return {
            f"{TENSOR_PREFIX}{check}": points for check, points in zip(self.checks, self.points, strict=True)
        }

    def metadata(self) -> dict[str, list[int]]:
        """Return checks and steps, for a file."""
        return {"checks": self.checks, "steps": self.steps}

    @classmethod
    def of(cls, metadata: dict[str, list[int]], tensors: dict[str, Tensor]) -> Snapshots:
        """Read snapshots from a file."""
        points = [tensors[f"{TENSOR_PREFIX}{check}"] for check in metadata["checks"]]
        return cls(list(metadata["checks"]), list(metadata["steps"]), points)


@torch.no_grad()
def _draw_points(state: State) -> Tensor:
    """Generate points for the same latent numbers each time, without changing a random stream of training."""
    size = min(MAX_SNAPSHOT_POINTS, max(MIN_SNAPSHOT_POINTS, MAX_SNAPSHOT_ENTRIES // state.d))
    # On the CPU, so that all devices have the same numbers.
    z = torch.randn(
        size, state.latent, generator=torch.Generator().manual_seed(state.seed * 8 + SNAPSHOT_SEED)
    )
    state.average.eval()
    return state.average(z.to(state.device)).flatten(1).float().cpu()
