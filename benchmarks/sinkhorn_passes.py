"""One sum of exponentials over all pairs, half an iteration: otdist's fused pass, and torch's unfused one."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from exact_methods import Task

Run = Callable[[], dict[str, Any]]
EPS_DECAY = 0.6
BLOCKS = (64, 256, 1024, 4096)  # rows of the distances that torch makes at once


class Half:
    """Points in nested order, as the solver has them, and potentials that belong to ``eps``.

    Which terms count depends on the potentials, and so does the time where others are left out.
    """

    def __init__(self, task: Task, eps: float, mean: float) -> None:
        from otdist.solvers.entropic.logsumexp32 import PointLogSumExp32
        from otdist.solvers.pairs.distance_tiles import EUCLIDEAN
        from otdist.solvers.pairs.kd_order import kd_order
        from otdist.solvers.pairs.point_costs import PointCosts

        rows, cols = kd_order(task.x), kd_order(task.y)
        self.x, self.y = task.x[rows], task.y[cols]
        self.log_b = np.full(len(self.y), -np.log(len(self.y)))
        self.logsumexp, self.eps = PointLogSumExp32(PointCosts.of(self.x, self.y, EUCLIDEAN)), eps * mean
        log_a, now, self.g = np.full(len(self.x), -np.log(len(self.x))), mean, np.zeros(len(self.y))
        while now > self.eps:
            f = self.logsumexp.softmin(self.g, self.log_b, now)
            self.g = self.logsumexp.softmin(f, log_a, now, flip=True)
            now = max(EPS_DECAY * now, self.eps)


def otdist_pass(task: Task, mean: float, eps: float) -> Run:
    half = Half(task, eps, mean)
    return lambda: {"value": float(half.logsumexp.softmin(half.g, half.log_b, half.eps).mean())}


def torch_pass(task: Task, mean: float, eps: float) -> Run:
    """``logsumexp(h - cdist(x, y) / eps)`` in float32, in the best of several block sizes."""
    import torch

    torch.set_num_threads(len(os.sched_getaffinity(0)))
    half = Half(task, eps, mean)
    x, y = (torch.tensor(side, dtype=torch.float32) for side in (half.x, half.y))
    h = torch.tensor(half.log_b + half.g / half.eps, dtype=torch.float32)

    def sums(block: int) -> Any:
        parts = (x[first : first + block] for first in range(0, len(x), block))
        return torch.cat([torch.logsumexp(h - torch.cdist(part, y) / half.eps, 1) for part in parts])

    def seconds(block: int) -> float:
        start = time.perf_counter()
        sums(block)
        return time.perf_counter() - start

    best = min(BLOCKS, key=lambda block: min(seconds(block) for _ in range(2)))
    return lambda: {"value": float(-half.eps * sums(best).double().mean()), "block": best}
