"""When a run has learned what it will learn."""

from __future__ import annotations

from collections.abc import Sequence

from otdist.learn.wgan.health import Check

PATIENCE = 8  # checks without progress


def stalled(history: Sequence[Check]) -> bool:
    """Whether the distance to held-out data has not fallen for long."""
    if len(history) <= 2 * PATIENCE:
        return False
    values = [check.debiased for check in history]
    return min(values[-PATIENCE:]) >= min(values[:-PATIENCE])


def ended(history: Sequence[Check], settled: bool) -> str:
    """Why a run is over, in words."""
    last = history[-1]
    if last.estimate <= 1.05 * last.floor:
        return f"as near to held-out data as real data are, at n = {last.n}"
    return "no progress" if settled else "the budget is used"
