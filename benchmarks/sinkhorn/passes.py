"""One sum of exponentials over all pairs, half an iteration: otdist's fused pass, and torch's unfused one."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from otdist.bench.worker import Samples

Pass = tuple["Half", "BlockedSums | None"]
EPS_DECAY = 0.6
BLOCKS = (64, 256, 1024, 4096)  # rows of the distances that torch makes at once


class Half:
    """Points in nested order, as the solver has them, and potentials that belong to ``eps``.

    Which terms count depends on the potentials, and so does the time where others are left out.
    """

    def __init__(self, samples: Samples, eps: float) -> None:
        from otdist.solvers.entropic.logsumexp32 import PointLogSumExp32
        from otdist.solvers.pairs.distance_tiles import EUCLIDEAN
        from otdist.solvers.pairs.kd_order import kd_order
        from otdist.solvers.pairs.point_costs import PointCosts

        mean = samples.mean_cost
        rows, cols = kd_order(samples.x), kd_order(samples.y)
        self.x, self.y = samples.x[rows], samples.y[cols]
        self.log_b = np.full(len(self.y), -np.log(len(self.y)))
        self.logsumexp, self.eps = PointLogSumExp32(PointCosts.of(self.x, self.y, EUCLIDEAN)), eps * mean
        log_a, now, self.g = np.full(len(self.x), -np.log(len(self.x))), mean, np.zeros(len(self.y))
        while now > self.eps:
            f = self.logsumexp.softmin(self.g, self.log_b, now)
            self.g = self.logsumexp.softmin(f, log_a, now, flip=True)
            now = max(EPS_DECAY * now, self.eps)


class BlockedSums:
    """``logsumexp(h - cdist(x, y) / eps)`` by torch in float32, in the best of several block sizes."""

    def __init__(self, half: Half) -> None:
        import torch

        torch.set_num_threads(len(os.sched_getaffinity(0)))
        self.eps = half.eps
        self.x, self.y = (torch.tensor(side, dtype=torch.float32) for side in (half.x, half.y))
        self.h = torch.tensor(half.log_b + half.g / half.eps, dtype=torch.float32)
        self.block = min(BLOCKS, key=lambda block: min(self._time(block) for _ in range(2)))

    def sums(self, block: int) -> Any:
        """Compute all sums, with so many rows of the distances at once."""
        import torch

        parts = (self.x[first : first + block] for first in range(0, len(self.x), block))
        return torch.cat(
            [torch.logsumexp(self.h - torch.cdist(part, self.y) / self.eps, 1) for part in parts]
        )

    def _time(self, block: int) -> float:
        start = time.perf_counter()
        self.sums(block)
        return time.perf_counter() - start


PREPARED: dict[int, Pass] = {}  # by the number of points


def prepare(name: str, samples: Samples, options: dict[str, Any]) -> None:
    """Compute the potentials, and find torch's block size; not timed."""
    half = Half(samples, float(options["eps"]))
    PREPARED[len(samples.x)] = half, BlockedSums(half) if name == "torch pass" else None


def solve(name: str, samples: Samples, options: dict[str, Any]) -> dict[str, Any]:
    """Sum over all pairs once."""
    if len(samples.x) not in PREPARED:  # the first call, on few points
        prepare(name, samples, options)
    half, blocked = PREPARED[len(samples.x)]
    if blocked is None:
        return {"value": float(half.logsumexp.softmin(half.g, half.log_b, half.eps).mean())}
    return {"value": float(-half.eps * blocked.sums(blocked.block).double().mean()), "block": blocked.block}
